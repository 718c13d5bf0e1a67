#!/usr/bin/env bash
# Ends a gateway whose event loop no longer turns; systemd starts it again. Tries one again that ended for its settings. Readiness is the load balancers' concern:
# a gateway without engines, or one that drains, is well.
set -euo pipefail
. /etc/patchbay/host.env

# systemd gives up on a gateway with wrong settings. Its files come anew each minute, and may be right by now.
if [ "$(systemctl show --property ActiveState --value patchbay-gateway)" = failed ] &&
  [ "$(systemctl show --property ExecMainStatus --value patchbay-gateway)" = 64 ]; then
  echo 'watch_health: the gateway ended for its settings; it is tried again' >&2
  exec systemctl start --no-block patchbay-gateway
fi

[ "$(systemctl show --property SubState --value patchbay-gateway)" = running ] || exit 0
for _ in 1 2 3 4; do
  ! curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$ADMIN_PORT/healthz" || exit 0
  sleep 5
done
echo 'watch_health: the gateway does not answer; it is killed, and started again' >&2
systemctl kill --signal KILL patchbay-gateway
