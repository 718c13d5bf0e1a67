variable "environment" {
  description = "Value of the tag `patchbay:environment` whose costs count."
  type        = string
}

variable "currency" {
  description = "Of all limits."
  type        = string
  default     = "USD"
}

variable "monthly_limit" {
  description = "Of the whole environment, a month."
  type        = number

  validation {
    condition     = var.monthly_limit > 0
    error_message = "A budget is more than nothing."
  }
}

variable "region_limits" {
  description = "Of single regions, by the value of the tag `patchbay:region`."
  type        = map(number)
  default     = {}

  validation {
    condition     = sum(concat([0], values(var.region_limits))) <= var.monthly_limit
    error_message = "The regions together may spend more than the environment: raise monthly_limit."
  }
}

variable "email_addresses" {
  description = "Who is told."
  type        = list(string)

  validation {
    condition     = length(var.email_addresses) > 0 && length(var.email_addresses) <= 10
    error_message = "One to ten addresses: a budget that tells nobody is none."
  }
  validation {
    condition     = alltrue([for address in var.email_addresses : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Each must be an e-mail address."
  }
}

variable "alerts" {
  description = "At how many percent of a limit somebody is told: of what was spent, and of what the month is forecast to cost."
  type = object({
    actual   = optional(set(number), [50, 80, 100])
    forecast = optional(set(number), [100, 120])
  })
  default = {}

  validation {
    condition     = length(var.alerts.actual) + length(var.alerts.forecast) <= 5 && length(var.alerts.forecast) >= 1
    error_message = "AWS takes five alerts for each budget; at least one of them is of the forecast."
  }
}

variable "tags" {
  description = "Tags of the budgets."
  type        = map(string)
  default     = {}
}
