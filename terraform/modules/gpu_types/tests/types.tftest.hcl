# What is in which type.

run "without_types_there_are_several" {
  command = plan

  assert {
    condition     = length(output.instance_types) >= 3 && output.accelerator == ""
    error_message = "of several kinds, so the catalog names none"
  }
}

run "types_of_one_family_have_one_accelerator" {
  command = plan
  variables {
    types = ["g5.xlarge", "g5.2xlarge"]
  }

  assert {
    condition     = output.accelerator == "a10g" && output.instance_types == tolist(["g5.xlarge", "g5.2xlarge"])
    error_message = "the catalog names it"
  }
}

run "a_type_with_several_gpus_is_refused" {
  command         = plan
  expect_failures = [var.types]
  variables {
    types = ["g6.12xlarge"]
  }
}
