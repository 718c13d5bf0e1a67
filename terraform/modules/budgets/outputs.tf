output "names" {
  description = "Names of the budgets."
  value       = sort([for budget in aws_budgets_budget.this : budget.name])
}
