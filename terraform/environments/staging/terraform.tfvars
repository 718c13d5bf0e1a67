# What is decided for staging. What belongs to the account is in account.auto.tfvars (see its example).

environment    = "staging"
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
    cidr               = "10.32.0.0/16"
    availability_zones = ["eu-central-1a", "eu-central-1b"]
    monthly_limit      = 1500
    gateways           = { instance_type = "c7i.large", min = 2, max = 4, max_sessions = 500 }
    pools = {
      gpu-reserved = {
        capacity      = "reserved"
        min           = 0
        max           = 2
        cost_permille = 1250
        types         = ["g6.xlarge", "g6.2xlarge", "g5.xlarge"]
        models        = [{ name = "embedded" }]
      }
      gpu-spot = {
        capacity      = "spot"
        min           = 1
        max           = 3
        cost_permille = 500
        models        = [{ name = "embedded" }]
      }
    }
  }

  eu-west = {
    aws_region         = "eu-west-1"
    jurisdictions      = ["eu", "eea"]
    legal_area         = "eea"
    cidr               = "10.33.0.0/16"
    availability_zones = ["eu-west-1a", "eu-west-1b"]
    monthly_limit      = 1500
    gateways           = { instance_type = "c7i.large", min = 2, max = 4, max_sessions = 500 }
    # Ireland has no g6.
    pools = {
      gpu-reserved = {
        capacity      = "reserved"
        min           = 0
        max           = 2
        cost_permille = 1400
        types         = ["g5.xlarge", "g5.2xlarge"]
        models        = [{ name = "embedded" }]
      }
      gpu-spot = {
        capacity      = "spot"
        min           = 1
        max           = 3
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
    cidr               = "10.34.0.0/16"
    availability_zones = ["us-east-1a", "us-east-1b"]
    monthly_limit      = 1500
    gateways           = { instance_type = "c7i.large", min = 2, max = 4, max_sessions = 500 }
    pools = {
      gpu-reserved = {
        capacity      = "reserved"
        min           = 0
        max           = 2
        cost_permille = 1000
        types         = ["g6.xlarge", "g6.2xlarge", "g5.xlarge"]
        models        = [{ name = "embedded" }]
      }
      gpu-spot = {
        capacity      = "spot"
        min           = 1
        max           = 3
        cost_permille = 400
        models        = [{ name = "embedded" }]
      }
    }
  }
}

nat_gateways    = "one"
has_quic        = true
requires_grants = true
redis           = { node_type = "cache.t4g.small", replicas = 1, snapshot_days = 1 }
audit           = { retention_days = 7, mode = "GOVERNANCE" }
is_protected    = false
