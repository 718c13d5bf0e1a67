# Where gateways stand, and what they are made of. What they are told is in variables_settings.tf.

variable "name" {
  description = "Prefix of names, such as `patchbay-production-eu-west`; the group of gateways is `NAME-gateway`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,46}[a-z0-9]$", var.name))
    error_message = "name: 3 to 48 lower-case letters, digits and hyphens."
  }
}

variable "environment" {
  description = "Name of the environment, such as `production`: a dimension of published figures."
  type        = string
}

variable "region" {
  description = "Name of the region in Patchbay's catalog."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,62}$", var.region))
    error_message = "region: as Patchbay's setting `region` wants it."
  }
}

variable "tags" {
  description = "Tags of everything, hosts and volumes too."
  type        = map(string)
  default     = {}
}

variable "subnet_ids" {
  description = "Private subnets, one for each zone."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: at least two zones."
  }
}

variable "security_group_id" {
  description = "Group of gateways (output of `network`)."
  type        = string
}

variable "instance_profile_arn" {
  description = "Instance profile of gateways (output of `iam`)."
  type        = string
}

variable "key_arns" {
  description = "Keys of the region (output of `kms`): `data` for volumes, `logs` for the log group."
  type        = object({ data = string, logs = string })
}

variable "target_group_arns" {
  description = "Groups of load balancers that the Auto Scaling group enters hosts into (output of `ingress`)."
  type        = list(string)
}

variable "image_id" {
  description = "Image of hosts: Amazon Linux 2023. The default asks AWS for the newest at each start of a host. With an `ami-` id you know which, and a refresh that fails goes back by itself."
  type        = string
  default     = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"

  validation {
    condition     = can(regex("^(ami-[0-9a-f]+|resolve:ssm:/.+)$", var.image_id))
    error_message = "An image is ami-... or resolve:ssm:/..."
  }
}

variable "instance_type" {
  description = "Type of hosts. A gateway is one process on one core; processes that end QUIC use the others."
  type        = string
  default     = "c7i.large"

  validation {
    condition     = !can(regex("^t[1-4]", var.instance_type))
    error_message = "Types that save up CPU credits fall behind when the credits are used up, in the middle of sessions."
  }
}

variable "volume_gib" {
  description = "Size of a host's volume: journals, the decision log until it is copied, logs."
  type        = number
  default     = 40

  validation {
    condition     = var.volume_gib >= 20
    error_message = "volume_gib: at least 20."
  }
}

variable "capacity" {
  description = "Hosts: at least, at most, and the mean CPU in percent that more are started for."
  type = object({
    min         = optional(number, 3)
    max         = optional(number, 12)
    cpu_percent = optional(number, 45)
  })
  default = {}

  validation {
    condition     = var.capacity.min >= 2 && var.capacity.max >= var.capacity.min
    error_message = "capacity: at least 2 hosts, so that one can drain, and max not below min."
  }

  validation {
    condition     = var.capacity.cpu_percent >= 10 && var.capacity.cpu_percent <= 80
    error_message = "capacity.cpu_percent: 10 to 80."
  }
}

variable "max_instance_lifetime_days" {
  description = "Hosts are replaced after so long, in turn: so come patches of the image, and renewed certificates to gRPC. 0: never."
  type        = number
  default     = 14

  validation {
    condition     = var.max_instance_lifetime_days == 0 || (var.max_instance_lifetime_days >= 1 && var.max_instance_lifetime_days <= 365)
    error_message = "max_instance_lifetime_days: 0, or 1 to 365."
  }
}

variable "launch_timeout_s" {
  description = "A host whose gateway does not run after so long is given up."
  type        = number
  default     = 600
}

variable "artifact_bucket" {
  description = "The region's bucket of releases, catalog and configuration."
  type        = string
}

variable "release" {
  description = "Release of the gateway: version, and SHA-256 of its bundle (see `host_software`). The bundle needs the extra `s3` where there is an audit bucket."
  type        = object({ version = string, sha256 = string })
}

variable "log_retention_days" {
  description = "How long logs are kept. They hold no audio, no words, no tokens and no addresses of clients."
  type        = number
  default     = 365
}

variable "secrets" {
  description = <<-EOT
    Secrets of Secrets Manager, by ARN. Terraform never reads them.
    certificate: JSON with `certificate` (chain) and `private_key`, PEM, for clients; region_link: the same and `ca`, for links between
    regions; resumption_keys: one key a line, the same in all regions that may go on with each other's sessions; webtransport: at least
    32 characters, the same for all gateways of the region; decision_key: PEM, signs the decision log; grant_key: PEM, signs grants.
  EOT
  type = object({
    certificate     = optional(string)
    region_link     = optional(string)
    resumption_keys = optional(string)
    webtransport    = optional(string)
    decision_key    = optional(string)
    grant_key       = optional(string)
  })
  default = {}

  validation {
    condition     = alltrue([for arn in values(var.secrets) : arn == null ? true : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))])
    error_message = "secrets: whole ARNs of Secrets Manager."
  }

  validation {
    condition     = var.quic == null ? true : var.secrets.certificate != null && var.secrets.webtransport != null
    error_message = "QUIC ends in the gateway: it needs secrets.certificate, and secrets.webtransport for what gateways behind one address must share."
  }

  validation {
    condition     = var.tls_ends_at == "load_balancer" || var.secrets.certificate != null
    error_message = "tls_ends_at = \"gateway\" needs secrets.certificate."
  }

  validation {
    condition     = !var.has_links || (var.secrets.region_link != null && var.secrets.resumption_keys != null)
    error_message = "Links between regions need secrets.region_link, and secrets.resumption_keys, or no other region could go on with a session."
  }
}
