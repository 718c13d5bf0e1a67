variable "artifact_bucket" {
  description = "Bucket of releases, in the host's own region: `releases/VERSION/patchbay-BUNDLE.tar.gz`."
  type        = string
}

variable "release" {
  description = "Which release: its version, and the SHA-256 of the bundle's tarball. A host that finds another sum installs nothing."
  type        = object({ version = string, sha256 = string })

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$", var.release.version))
    error_message = "release.version: letters, digits, dots, plus, hyphens."
  }

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release.sha256))
    error_message = "release.sha256: 64 hexadecimal digits in lower case."
  }
}

variable "bundle" {
  description = "`gateway`, or `gpu` for engines."
  type        = string
  default     = "gateway"

  validation {
    condition     = contains(["gateway", "gpu"], var.bundle)
    error_message = "bundle is gateway or gpu."
  }
}

variable "python" {
  description = "Interpreter that the virtual environment is made with; the one that the bundle's wheels are for."
  type        = string
  default     = "/usr/bin/python3.12"
}

variable "packages" {
  description = "Packages of the distribution (dnf) that are installed first. Repositories of Amazon Linux are reached through the S3 endpoint."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for package in var.packages : can(regex("^[A-Za-z0-9][A-Za-z0-9.+_-]*$", package))])
    error_message = "packages: plain names."
  }
}
