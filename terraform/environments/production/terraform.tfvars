# What is decided for production. What belongs to the account is in account.auto.tfvars (see its example).

environment    = "production"
cost_reference = "an hour of one on-demand g6.xlarge in us-east-1"

# Whose law holds where: each region stands under all jurisdictions of its area. A lawyer must confirm each row.
legal_areas = {
  eea = { jurisdictions = ["eu", "eea"] }
  us  = { jurisdictions = ["us"] }
}

regions = {
  eu-central = {
    aws_region         = "eu-central-1"
    jurisdictions      = ["eu", "eea"]
    legal_area         = "eea"
    cidr               = "10.16.0.0/16"
    availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    monthly_limit      = 9000
    gateways           = { instance_type = "c7i.large", min = 3, max = 12, max_sessions = 2000 }
    pools = {
      gpu-reserved = {
        capacity      = "reserved"
        min           = 2
        max           = 12
        cost_permille = 1250
        types         = ["g6.xlarge", "g6.2xlarge", "g5.xlarge"]
        models        = [{ name = "embedded" }]
        # Paid for from the apply on, used or not.
        reservations = { instances_by_zone = { "eu-central-1a" = 1, "eu-central-1b" = 1 } }
      }
      gpu-spot = {
        capacity      = "spot"
        min           = 3
        max           = 24
        cost_permille = 500
        models        = [{ name = "embedded" }]
      }
    }
  }

  eu-west = {
    aws_region         = "eu-west-1"
    jurisdictions      = ["eu", "eea"]
    legal_area         = "eea"
    cidr               = "10.17.0.0/16"
    availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    monthly_limit      = 9000
    gateways           = { instance_type = "c7i.large", min = 3, max = 12, max_sessions = 2000 }
    # Ireland has no g6.
    pools = {
      gpu-reserved = {
        capacity      = "reserved"
        min           = 2
        max           = 12
        cost_permille = 1400
        types         = ["g5.xlarge", "g5.2xlarge"]
        models        = [{ name = "embedded" }]
        reservations  = { instances_by_zone = { "eu-west-1a" = 1, "eu-west-1b" = 1 } }
      }
      gpu-spot = {
        capacity      = "spot"
        min           = 3
        max           = 24
        cost_permille = 560
        types         = ["g5.xlarge", "g5.2xlarge", "g4dn.xlarge", "g4dn.2xlarge"]
        models        = [{ name = "embedded" }]
      }
    }
  }

  us-east = {
    aws_region         = "us-east-1"
    jurisdictions      = ["us"]
    legal_area         = "us"
    cidr               = "10.18.0.0/16"
    availability_zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
    monthly_limit      = 9000
    gateways           = { instance_type = "c7i.large", min = 3, max = 12, max_sessions = 2000 }
    pools = {
      gpu-reserved = {
        capacity      = "reserved"
        min           = 2
        max           = 12
        cost_permille = 1000
        types         = ["g6.xlarge", "g6.2xlarge", "g5.xlarge"]
        models        = [{ name = "embedded" }]
        reservations  = { instances_by_zone = { "us-east-1a" = 1, "us-east-1b" = 1 } }
      }
      gpu-spot = {
        capacity      = "spot"
        min           = 3
        max           = 24
        cost_permille = 400
        models        = [{ name = "embedded" }]
      }
    }
  }
}

nat_gateways    = "every_zone"
has_quic        = true
requires_grants = true
redis           = { node_type = "cache.m7g.large", replicas = 1, snapshot_days = 7 }
audit           = { retention_days = 2190, mode = "COMPLIANCE" }
is_protected    = true
