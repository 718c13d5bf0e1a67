# What a host is made of: files, units, and the script that puts them there at its first start.

locals {
  lifecycle_hooks = { launch = "${var.name}-gateway-launch", terminate = "${var.name}-gateway-terminate" }

  # Announced, drained, journals and links closed; then some.
  stop_s = ceil((var.drain.announce_ms + var.drain.finish_ms) / 1000) + 30

  host_environment = {
    AWS_DEFAULT_REGION  = data.aws_region.current.id
    AWS_REGION          = data.aws_region.current.id
    ENVIRONMENT         = var.environment
    REGION              = var.region
    HOST_NAME           = var.host_name
    ADMIN               = "http://127.0.0.1:${var.ports.admin}"
    ADMIN_PORT          = var.ports.admin
    ARTIFACT_BUCKET     = var.artifact_bucket
    HAS_POLICY          = var.policy == null ? "no" : "yes"
    CERTIFICATE_SECRET  = var.secrets.certificate
    REGION_LINK_SECRET  = var.secrets.region_link
    RESUMPTION_SECRET   = var.secrets.resumption_keys
    WEBTRANSPORT_SECRET = var.secrets.webtransport
    DECISION_KEY_SECRET = var.secrets.decision_key
    GRANT_KEY_SECRET    = var.secrets.grant_key
    REDIS_SECRET        = var.redis.secret_arn
    REDIS_USER          = var.redis.user
    REDIS_HOST          = var.redis.host
    REDIS_PORT          = var.redis.port
    QUIC_TARGET_GROUP   = var.quic == null ? "" : var.quic.target_group_arn
    QUIC_PORT           = var.ports.webtransport
    UNIT                = "patchbay-gateway"
    AUTO_SCALING_GROUP  = local.group_name
    LAUNCH_HOOK         = local.lifecycle_hooks.launch
    TERMINATE_HOOK      = local.lifecycle_hooks.terminate
    READY_COMMAND       = "curl --silent --fail --max-time 3 http://127.0.0.1:${var.ports.admin}/healthz"
  }

  unit_head = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n"
  once      = "[Service]\nType=oneshot\nTimeoutStartSec=90\nEnvironment=AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=8\n"
  timers = {
    secrets       = "OnCalendar=daily\nRandomizedDelaySec=6h\n"
    configuration = "OnUnitInactiveSec=60\nOnBootSec=90\n"
    health        = "OnUnitInactiveSec=15\nOnBootSec=120\n"
    capacity      = "OnUnitInactiveSec=15\nOnBootSec=60\n"
    logs          = "OnUnitInactiveSec=300\nOnBootSec=300\n"
  }
  scripts = merge(
    {
      secrets       = file("${path.module}/files/secrets.sh")
      configuration = file("${path.module}/files/configuration.sh")
      health        = file("${path.module}/files/watch_health.sh")
      capacity      = file("${path.module}/../../host/publish_capacity.sh")
      lifecycle     = file("${path.module}/../../host/lifecycle.sh")
    },
    var.quic == null ? {} : { quic-target = file("${path.module}/files/quic_target.py") },
  )

  files = merge(
    { for name, text in local.scripts : "/usr/local/sbin/patchbay-${name}" => { mode = "0755", text = text } },
    { for approver, key in(var.policy == null ? {} : var.policy.approvers) : "/etc/patchbay/approvers/${approver}.pub" => { mode = "0640", text = key } },
    {
      "/etc/patchbay/functions.sh"    = { mode = "0640", text = module.software.functions_script }
      "/etc/patchbay/gateway.toml"    = { mode = "0640", text = local.settings_text }
      "/etc/patchbay/host.env"        = { mode = "0640", text = join("", [for name, value in local.host_environment : "${name}='${value == null ? "" : value}'\n"]) }
      "/etc/patchbay/settings.env"    = { mode = "0640", text = join("", [for name, value in var.settings : "${name}='${value}'\n"]) }
      "/etc/patchbay/cloudwatch.json" = { mode = "0640", text = local.cloudwatch_agent }
      # Not in /etc/logrotate.d, which is looked at once a day: a log may fill the volume by then.
      "/etc/patchbay/logrotate.conf" = { mode = "0640", text = "/var/log/patchbay/*.log {\n  size 64M\n  rotate 4\n  copytruncate\n  compress\n  missingok\n}\n" }
      "/etc/systemd/system/patchbay-logs.service" = {
        mode = "0644"
        text = "[Service]\nType=oneshot\nExecStart=/usr/sbin/logrotate --state /var/log/patchbay/logrotate.state /etc/patchbay/logrotate.conf\n"
      }
      "/etc/sysctl.d/60-patchbay.conf" = { mode = "0644", text = "# What an edge process of QUIC asks for (docs/webtransport.md).\nnet.core.rmem_max = 4194304\n" }

      "/etc/systemd/system/patchbay-gateway.service" = { mode = "0644", text = templatefile("${path.module}/templates/gateway.service.tftpl", { stop_s = local.stop_s }) }
      "/etc/systemd/system/patchbay-lifecycle.service" = {
        mode = "0644"
        text = "${local.unit_head}[Service]\nEnvironmentFile=/etc/patchbay/host.env\nExecStart=/usr/local/sbin/patchbay-lifecycle\nRestart=on-failure\nRestartSec=5\n[Install]\nWantedBy=multi-user.target\n"
      }
    },
    {
      for name in ["secrets", "configuration", "health", "capacity"] : "/etc/systemd/system/patchbay-${name}.service" => {
        mode = "0644"
        # A figure that was not published, or an answer that was not heard, waits for the timer's next turn.
        text = "${local.unit_head}${contains(["secrets", "configuration"], name) ? local.once : "[Service]\nType=oneshot\nTimeoutStartSec=60\n"}EnvironmentFile=/etc/patchbay/host.env\nExecStart=/usr/local/sbin/patchbay-${name}\n"
      }
    },
    { for name, when in local.timers : "/etc/systemd/system/patchbay-${name}.timer" => { mode = "0644", text = "[Timer]\n${when}AccuracySec=1\n[Install]\nWantedBy=timers.target\n" } },
    # It starts after the gateway, so it stops before: connections stop coming before the drain begins.
    var.quic == null ? {} : {
      "/etc/systemd/system/patchbay-quic-target.service" = {
        mode = "0644"
        text = "[Unit]\nAfter=network-online.target patchbay-gateway.service\nBindsTo=patchbay-gateway.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironmentFile=/etc/patchbay/host.env\nExecStart=/usr/local/sbin/patchbay-quic-target enter\nExecStop=/usr/local/sbin/patchbay-quic-target leave\nRestart=on-failure\nRestartSec=15\nTimeoutStopSec=45\n[Install]\nWantedBy=patchbay-gateway.service\n"
      }
    },
  )

  units = concat(
    ["patchbay-lifecycle.service"],
    [for name, _ in local.timers : "patchbay-${name}.timer"],
    var.quic == null ? [] : ["patchbay-quic-target.service"],
  )

  cloudwatch_agent = jsonencode({
    agent = { run_as_user = "root", metrics_collection_interval = 60 }
    logs = {
      logs_collected = {
        files = {
          collect_list = [{
            file_path       = "/var/log/patchbay/gateway.log"
            log_group_name  = aws_cloudwatch_log_group.gateway.name
            log_stream_name = "{instance_id}"
          }]
        }
      }
    }
  })

  user_data = templatefile("${path.module}/templates/user_data.sh.tftpl", {
    region           = var.region
    aws_region       = data.aws_region.current.id
    functions_script = module.software.functions_script
    install_script   = module.software.install_script
    files            = local.files
    units            = local.units
  })
}

module "software" {
  source = "../host_software"

  artifact_bucket = var.artifact_bucket
  release         = var.release
  bundle          = "gateway"
  python          = "/usr/bin/python3.12"
  packages        = ["python3.12", "openssl", "amazon-cloudwatch-agent", "logrotate"]
}
