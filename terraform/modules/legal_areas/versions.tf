terraform {
  # 1.9: a validation may look at other variables and at local values.
  required_version = ">= 1.9.0"
}
