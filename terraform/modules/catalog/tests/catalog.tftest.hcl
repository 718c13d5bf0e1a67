# The text itself; tests/terraform loads what environments make of it as gateways do.

variables {
  cost_reference = "an \"hour\""
  regions = {
    edge = {
      country       = "NO"
      latitude      = 59.91
      longitude     = 10.75
      operator      = "acme"
      jurisdictions = ["eea"]
      gateways      = ["wss://oslo.speech.example.com/v1/stream"]
      relays        = []
      pools         = []
    }
  }
}

run "what_is_written_down_is_quoted" {
  command = plan

  assert {
    condition     = strcontains(output.text, "cost_reference = \"an \\\"hour\\\"\"") && strcontains(output.text, "[[regions]]\nname = \"edge\"")
    error_message = output.text
  }
}

run "a_catalog_of_nothing_is_refused" {
  command         = plan
  expect_failures = [var.regions]
  variables {
    regions = {}
  }
}
