# The settings file of gateways, and what comes to it from secrets while a host runs.

locals {
  settings_text = templatefile("${path.module}/templates/gateway.toml.tftpl", {
    region              = var.region
    aws_region          = data.aws_region.current.id
    ports               = var.ports
    has_links           = var.has_links
    issuers             = var.issuers
    max_sessions        = var.max_sessions
    proxy_cidrs         = var.proxy_cidrs
    residency           = var.residency
    policy              = var.policy
    has_grants          = var.secrets.grant_key != null
    has_plans           = var.has_plans
    has_decision_key    = var.secrets.decision_key != null
    audit               = var.audit
    has_resumption_keys = var.secrets.resumption_keys != null
    drain               = var.drain
    quic                = var.quic
  })

  # As files/secrets.sh writes them, with a password that is none.
  example_environment = merge(
    {
      PATCHBAY__LIMITS__REDIS__URLS     = jsonencode(["rediss://${var.redis.user}:password@${var.redis.host}:${var.redis.port}/0"])
      PATCHBAY__ENGINES__DISCOVERY__URL = "rediss://${var.redis.user}:password@${var.redis.host}:${var.redis.port}/0"
    },
    var.quic == null ? {} : { PATCHBAY__WEBTRANSPORT__CONNECTION_IDS__SERVER_ID = "0x0123456789abcdef" },
    var.settings,
  )
}
