# Monthly budgets: of an environment, and of each of its regions. They tell, and stop nothing.
#
# Costs are found by tags, which must be activated once as cost allocation tags of the account (docs/deploy.md). Costs
# that no tag tells, such as traffic between regions in part, are in no budget here.

locals {
  # AWS writes a tag of one's own as user:KEY$VALUE.
  environment_tag = format("user:patchbay:environment$%s", var.environment)

  budgets = merge(
    { (var.environment) = { limit = var.monthly_limit, tags = [local.environment_tag] } },
    {
      for region, limit in var.region_limits :
      "${var.environment}-${region}" => { limit = limit, tags = [format("user:patchbay:region$%s.%s", var.environment, region)] }
    },
  )
}

resource "aws_budgets_budget" "this" {
  for_each = local.budgets

  name         = "patchbay-${each.key}"
  budget_type  = "COST"
  limit_amount = format("%.2f", each.value.limit)
  limit_unit   = var.currency
  time_unit    = "MONTHLY"
  tags         = var.tags

  cost_filter {
    name   = "TagKeyValue"
    values = each.value.tags
  }

  dynamic "notification" {
    for_each = concat(
      [for percent in var.alerts.actual : { type = "ACTUAL", percent = percent }],
      [for percent in var.alerts.forecast : { type = "FORECASTED", percent = percent }],
    )
    content {
      notification_type          = notification.value.type
      threshold                  = notification.value.percent
      threshold_type             = "PERCENTAGE"
      comparison_operator        = "GREATER_THAN"
      subscriber_email_addresses = var.email_addresses
    }
  }
}
