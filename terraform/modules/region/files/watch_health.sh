#!/usr/bin/env bash
# Ends a gateway whose event loop no longer turns; systemd starts it again. Readiness is the load balancers' concern:
# a gateway without engines, or one that drains, is well.
set -euo pipefail
. /etc/patchbay/host.env

[ "$(systemctl show --property SubState --value patchbay-gateway)" = running ] || exit 0
for _ in 1 2 3 4; do
  ! curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$ADMIN_PORT/healthz" || exit 0
  sleep 5
done
echo 'watch_health: the gateway does not answer; it is killed, and started again' >&2
systemctl kill --signal KILL patchbay-gateway
