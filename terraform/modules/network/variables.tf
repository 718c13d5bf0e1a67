variable "name" {
  description = "Prefix of names, such as `patchbay-production-eu-west`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,46}[a-z0-9]$", var.name))
    error_message = "name: 3 to 48 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Name of the region in Patchbay's catalog."
  type        = string
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "cidr" {
  description = "IPv4 network of the region, /16 to /20. It must not overlap with that of a linked region."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("/(16|17|18|19|20)$", var.cidr))
    error_message = "cidr must be an IPv4 network of /16 to /20."
  }

  validation {
    condition     = can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.)", var.cidr))
    error_message = "cidr must lie in a private range (10/8, 172.16/12, 192.168/16) or in 100.64/10."
  }
}

variable "availability_zones" {
  description = "Names of two to four zones of the AWS region. Three survive the loss of one with two left."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 4 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones: two to four different zones."
  }
}

variable "nat_gateways" {
  description = "The way out to the internet: `none` (keys of issuers must come as files, certificates from Secrets Manager), `one` (its zone's loss cuts all zones off), `every_zone`."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["none", "one", "every_zone"], var.nat_gateways)
    error_message = "nat_gateways is none, one or every_zone."
  }
}

variable "has_quic" {
  description = "Whether gateways take QUIC. Its load balancer can have no security group, so they then take UDP from clients themselves."
  type        = bool
  default     = true
}

variable "has_ipv6" {
  description = "Whether the public subnets have IPv6 addresses, for a dual-stack load balancer of TCP. QUIC stays on IPv4."
  type        = bool
  default     = false
}

variable "ports" {
  description = "Ports of gateways, engines and Redis. `admin` and `metering` are never open to clients."
  type = object({
    http         = optional(number, 8080)
    grpc         = optional(number, 8081)
    admin        = optional(number, 8082)
    metering     = optional(number, 8083)
    relay        = optional(number, 8085)
    webtransport = optional(number, 4433)
    engine_from  = optional(number, 9000)
    engine_to    = optional(number, 9015)
    redis        = optional(number, 6379)
    public_http  = optional(number, 443)
    public_grpc  = optional(number, 8443)
  })
  default = {}

  validation {
    condition     = alltrue([for port in values(var.ports) : port >= 1 && port <= 65535]) && var.ports.engine_from <= var.ports.engine_to
    error_message = "ports: 1 to 65535, and engine_from not above engine_to."
  }

  validation {
    condition     = length(distinct([var.ports.http, var.ports.grpc, var.ports.admin, var.ports.metering, var.ports.relay])) == 5
    error_message = "A gateway's TCP ports must differ from each other."
  }
}

variable "client_cidrs" {
  description = "Networks from which clients come. With IPv6 networks among them, set has_ipv6."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.client_cidrs) > 0 && alltrue([for network in var.client_cidrs : can(cidrhost(network, 0))])
    error_message = "client_cidrs: at least one network."
  }

  validation {
    condition     = var.has_ipv6 || alltrue([for network in var.client_cidrs : !strcontains(network, ":")])
    error_message = "client_cidrs has an IPv6 network; has_ipv6 is false."
  }
}

variable "monitoring_cidrs" {
  description = "Networks from which metrics of gateways are read. Whoever reaches the admin port can drain a gateway."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for network in var.monitoring_cidrs : can(cidrhost(network, 0)) && !can(regex("/[0-7]$", network))])
    error_message = "monitoring_cidrs: networks of /8 and smaller; the admin port must not be open to the world."
  }
}

variable "peer_cidrs" {
  description = "Networks of the regions that are linked with this one, by their names. Their gateways may reach this region's relay, and nothing else."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for network in values(var.peer_cidrs) : can(cidrhost(network, 0)) && network != var.cidr])
    error_message = "peer_cidrs: networks of other regions."
  }

  validation {
    condition     = !contains(keys(var.peer_cidrs), var.region)
    error_message = "A region is not its own peer."
  }
}

variable "private_domain" {
  description = "Domain of the names that resolve inside linked networks only."
  type        = string
  default     = "patchbay.internal"
}

variable "s3_bucket_arns" {
  description = "Buckets that hosts may reach through the S3 endpoint: artifacts, audit copies."
  type        = list(string)
  default     = []
}

variable "has_amazon_linux_repositories" {
  description = "Whether the S3 endpoint lets hosts read the region's package repositories of Amazon Linux 2023."
  type        = bool
  default     = true
}

variable "interface_endpoints" {
  description = "AWS services with an endpoint in the network. Without a NAT gateway hosts reach no others."
  type        = set(string)
  default     = ["autoscaling", "ec2messages", "elasticloadbalancing", "kms", "logs", "monitoring", "secretsmanager", "ssm", "ssmmessages", "sts"]

  validation {
    condition     = length(setsubtract(var.interface_endpoints, keys(local.endpoint_actions))) == 0
    error_message = "No narrow policy is known for: ${join(", ", setsubtract(var.interface_endpoints, keys(local.endpoint_actions)))}. Add it to local.endpoint_actions."
  }
}

variable "kms_key_arn" {
  description = "Key for flow logs; its policy must let CloudWatch Logs use it."
  type        = string
}

variable "log_retention_days" {
  description = "How long flow logs are kept. They hold addresses of clients."
  type        = number
  default     = 365
}
