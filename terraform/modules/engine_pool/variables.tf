variable "name" {
  description = "Prefix of all names, such as patchbay-production-eu-west."
  type        = string
}

variable "environment" {
  description = "Dimension Environment of the metric that the gateways publish."
  type        = string
}

variable "region" {
  description = "The region, as the catalog names it."
  type        = string
}

variable "pool" {
  description = "The pool, as the catalog names it; engines say it with --pool."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,30}$", var.pool))
    error_message = "A pool is named with at most 31 small letters, digits and hyphens."
  }
}

variable "capacity" {
  description = "Class of all its machines, as the catalog knows it: reserved (on demand, with capacity reservations if there are any) or spot."
  type        = string

  validation {
    condition     = contains(["reserved", "spot"], var.capacity)
    error_message = "The capacity of a pool is reserved or spot."
  }
}

variable "subnet_ids" {
  description = "Private subnets, one for each zone that may be used."
  type        = list(string)

  validation {
    condition     = var.capacity == "reserved" || length(var.subnet_ids) >= 2
    error_message = "Spot in a single zone is lost all at once: give a spot pool two zones or more."
  }
}

variable "security_group_ids" {
  description = "Security groups of the engines."
  type        = list(string)
}

variable "instance_profile_arn" {
  description = "Instance profile: reads releases, models, keys and its secrets, completes lifecycle actions."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the volumes."
  type        = string
}

variable "image" {
  description = "An AMI, or resolve:ssm:PARAMETER. The default is Amazon's GPU image with an NVIDIA driver, Ubuntu 24.04."
  nullable    = false
  type        = string
  default     = "resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"

  validation {
    condition     = can(regex("^(ami-[0-9a-f]+|resolve:ssm:/.+)$", var.image))
    error_message = "An image is ami-… or resolve:ssm:/…"
  }
}

variable "instance_types" {
  description = "See the module gpu_types."
  type        = list(string)
  default     = null

  validation {
    condition     = var.instance_types == null || var.capacity == "reserved" ? true : length(distinct(var.instance_types)) >= 3
    error_message = "Give a spot pool three instance types or more: one alone is often not to be had."
  }
}

variable "size" {
  description = "Machines: the fewest, and the most. Between them the gateways' numbers decide (docs/capacity.md)."
  type        = object({ min = number, max = number })

  validation {
    condition     = var.size.min >= 0 && var.size.max >= max(1, var.size.min)
    error_message = "A pool has at least 0 machines, and no more at least than at most."
  }
}

variable "scaling_metric" {
  description = "Where the gateways publish how many engines they want: false leaves the size to you."
  type        = bool
  default     = true
}

variable "reservations" {
  description = <<-EOT
    Capacity that is held for this pool alone, for a reserved pool. `instances_by_zone` makes reservations of the first
    instance type: each is paid for from then on, used or not. `group_arn` uses a resource group of reservations that
    exists already. Without either, machines are on demand as they can be had.
  EOT
  type = object({
    instances_by_zone = optional(map(number), {})
    group_arn         = optional(string)
  })
  default = {}

  validation {
    condition     = var.capacity == "reserved" || (length(var.reservations.instances_by_zone) == 0 && var.reservations.group_arn == null)
    error_message = "Spot machines use no capacity reservations."
  }
  validation {
    condition     = length(var.reservations.instances_by_zone) == 0 || var.reservations.group_arn == null
    error_message = "Either reservations are made here, or a group of them is given."
  }
  validation {
    condition     = sum(concat([0], values(var.reservations.instances_by_zone))) <= var.size.min || var.size.min == 0
    error_message = "More is reserved than the pool has at least: what is never used would be paid for."
  }
}

variable "host_software" {
  description = "Texts of the module host_software, for bundle = \"gpu\"."
  type = object({
    functions_script = string
    install_script   = string
  })
}

variable "artifact_bucket" {
  description = "Bucket that releases, models and keys are fetched from."
  type        = string
}

variable "redis" {
  description = "The region's Redis, in which engines register; `secret_arn` has the password of `user`."
  type = object({
    host       = string
    port       = number
    user       = string
    secret_arn = string
  })
}

variable "engine" {
  description = "Options of the engine (docs/engines.md). `model`: key of a tar.gz in the artifact bucket with one folder, and its SHA-256; without one, the embedded model."
  type = object({
    backend           = optional(string, "onnx-cuda")
    port              = optional(number, 9000)
    slots             = optional(number, 64)
    drain_deadline_ms = optional(number, 15000)
    drain_on          = optional(list(string), [])
    requires_grants   = optional(bool, false)
    model             = optional(object({ key = string, sha256 = string }))
  })
  default = {}

  validation {
    condition     = contains(["onnx", "onnx-cuda", "onnx-tensorrt", "tensorrt"], var.engine.backend)
    error_message = "The backend is onnx, onnx-cuda, onnx-tensorrt or tensorrt."
  }
  validation {
    condition     = var.engine.drain_deadline_ms >= 5000 && var.engine.drain_deadline_ms <= 90000
    error_message = "Between 5 s and 90 s: EC2 tells two minutes before it takes a spot machine away."
  }
}

variable "volume_gib" {
  description = "Size of the root volume; the GPU image needs 75 and more."
  type        = number
  default     = 100
}

variable "metadata_hop_limit" {
  description = "1: only the host itself reaches the metadata service. 2 where engines run in containers."
  type        = number
  default     = 1
}

variable "alarm_topic_arns" {
  description = "Topics that hear when the pool has less than it wants for ten minutes."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything, machines and volumes included."
  type        = map(string)
  default     = {}
}
