# What a host is told to install, and what is refused.

variables {
  artifact_bucket = "acme-artifacts-eu-west-1"
  release = {
    version = "0.8.0"
    sha256  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  }
}

run "the_bundle_is_checked_before_it_is_unpacked" {
  command = plan

  assert {
    condition     = can(regex("(?s)sha256sum --check --strict.*tar --extract.*--require-hashes", output.install_script))
    error_message = "sum, then tar, then pip"
  }
  assert {
    condition     = strcontains(output.install_script, "s3://acme-artifacts-eu-west-1/releases/0.8.0/patchbay-gateway.tar.gz") && !strcontains(output.install_script, "dnf")
    error_message = "which bundle, and no packages"
  }
}

run "a_sum_that_is_none_is_refused" {
  command = plan
  variables {
    release = { version = "0.8.0", sha256 = "latest" }
  }
  expect_failures = [var.release]
}

run "a_version_cannot_carry_commands" {
  command = plan
  variables {
    release = { version = "1;reboot", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  }
  expect_failures = [var.release]
}
