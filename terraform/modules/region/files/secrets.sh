#!/usr/bin/env bash
# Fetches the gateway's secrets into memory (/run), before each start and once a day. Files change in one step.
set -euo pipefail
. /etc/patchbay/functions.sh
. /etc/patchbay/host.env
export AWS_DEFAULT_REGION

install --directory --owner root --group patchbay --mode 0750 /run/patchbay

# part NAME: one field of a JSON object on standard input, with a line feed at its end.
part() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]].rstrip())' "$1"; }

if [ -n "$CERTIFICATE_SECRET" ]; then
  certificate=$(secret "$CERTIFICATE_SECRET")
  printf '%s' "$certificate" | part private_key | put_file /run/patchbay/tls.key
  printf '%s' "$certificate" | part certificate | put_file /run/patchbay/tls.crt
elif [ ! -e /run/patchbay/tls.crt ]; then
  # For the way from the load balancer alone, which does not look at it.
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 400 -subj "/CN=patchbay-gateway" \
    -addext "subjectAltName=DNS:$HOST_NAME" -keyout /run/patchbay/new.key -out /run/patchbay/new.crt 2> /dev/null
  put_file /run/patchbay/tls.key < /run/patchbay/new.key
  put_file /run/patchbay/tls.crt < /run/patchbay/new.crt
  rm /run/patchbay/new.key /run/patchbay/new.crt
fi

if [ -n "$REGION_LINK_SECRET" ]; then
  link=$(secret "$REGION_LINK_SECRET")
  printf '%s' "$link" | part private_key | put_file /run/patchbay/region.key
  printf '%s' "$link" | part certificate | put_file /run/patchbay/region.crt
  printf '%s' "$link" | part ca | put_file /run/patchbay/regions-ca.crt
fi

# file_from ARN NAME: a secret that is a file as it is.
file_from() {
  [ -n "$1" ] || return 0
  local text
  text=$(secret "$1")
  printf '%s\n' "$text" | put_file "/run/patchbay/$2"
}
file_from "$RESUMPTION_SECRET" resumption.keys
file_from "$WEBTRANSPORT_SECRET" webtransport.secret
file_from "$DECISION_KEY_SECRET" decisions.key
file_from "$GRANT_KEY_SECRET" grant.key

password=$(secret "$REDIS_SECRET")
url="rediss://$REDIS_USER:$password@$REDIS_HOST:$REDIS_PORT/0"
{
  printf "PATCHBAY__LIMITS__REDIS__URLS='[\"%s\"]'\n" "$url"
  printf "PATCHBAY__ENGINES__DISCOVERY__URL='%s'\n" "$url"
  if [ -n "$QUIC_TARGET_GROUP" ]; then
    printf "PATCHBAY__WEBTRANSPORT__CONNECTION_IDS__SERVER_ID='%s'\n" "$(/usr/local/sbin/patchbay-quic-target server-id)"
  fi
} | put_file /run/patchbay/environment
