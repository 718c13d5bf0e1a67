# Shell text with which a host installs Patchbay from a bundle that it checks. Makes nothing.

locals {
  functions_script = file("${path.module}/functions.sh")
  install_script = templatefile("${path.module}/install.sh.tftpl", {
    artifact_bucket = var.artifact_bucket
    version         = var.release.version
    sha256          = var.release.sha256
    bundle          = var.bundle
    python          = var.python
    packages        = var.packages
  })
}
