#!/usr/bin/env bash
# Publishes, once, how many engines this gateway wants in each pool; a systemd timer runs it on every gateway host.
#
# The environment says:
#   ENVIRONMENT, REGION     dimensions of the metric; REGION as the catalog names it
#   AWS_REGION              where the metric goes
#   ADMIN                   the gateway's admin listener, if it is not http://127.0.0.1:8082
#
# Namespace Patchbay, metric WantedEngines, dimensions Environment, Region, Pool; the pool's scaling policy takes the
# largest answer of all gateways. A gateway that cannot know yet (HTTP 503) publishes nothing, and with no data the
# policy keeps what there is.
set -euo pipefail

: "${ENVIRONMENT:?}" "${REGION:?}" "${AWS_REGION:?}"

if ! answer=$(curl --silent --fail --max-time 5 "${ADMIN:-http://127.0.0.1:8082}/v1/scaler"); then
  echo 'publish_capacity: the gateway does not say; nothing is published' >&2
  exit 0
fi

data=$(printf '%s' "$answer" | python3 -c '
import json, sys

environment, region = sys.argv[1:]
print(json.dumps([
    {
        "MetricName": "WantedEngines",
        "Dimensions": [
            {"Name": "Environment", "Value": environment},
            {"Name": "Region", "Value": region},
            {"Name": "Pool", "Value": name},
        ],
        "Value": pool["wanted_engines"],
        "Unit": "Count",
    }
    for name, pool in json.load(sys.stdin)["pools"].items()
]))
' "$ENVIRONMENT" "$REGION")

[ "$data" = '[]' ] || aws cloudwatch put-metric-data --region "$AWS_REGION" --namespace Patchbay --metric-data "$data"
