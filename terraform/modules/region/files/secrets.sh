#!/usr/bin/env bash
# Fetches the gateway's secrets into memory (/run), before each start and once a day. Files change in one step.
set -euo pipefail
. /etc/patchbay/functions.sh
. /etc/patchbay/host.env
export AWS_DEFAULT_REGION

install --directory --owner root --group patchbay --mode 0750 /run/patchbay

# part NAME: one field of a JSON object on standard input.
part() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]].rstrip())' "$1"; }

# pair JSON NAME: a key and its certificate as NAME.key and NAME.crt. Nothing is written before both are there and belong
# together: a secret that somebody filled wrongly must not take the place of one that a gateway can start with.
pair() {
  local key certificate of_key of_certificate
  key=$(printf '%s' "$1" | part private_key)
  certificate=$(printf '%s' "$1" | part certificate)
  of_key=$(printf '%s\n' "$key" | openssl pkey -pubout)
  of_certificate=$(printf '%s\n' "$certificate" | openssl x509 -noout -pubkey)
  if [ "$of_key" != "$of_certificate" ]; then
    echo "secrets: the private key of $2 is not that of its certificate" >&2
    exit 1
  fi
  printf '%s\n' "$key" | put_file "/run/patchbay/$2.key"
  printf '%s\n' "$certificate" | put_file "/run/patchbay/$2.crt"
}

if [ -n "$CERTIFICATE_SECRET" ]; then
  certificate=$(secret "$CERTIFICATE_SECRET")
  pair "$certificate" tls
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
  ca=$(printf '%s' "$link" | part ca)
  pair "$link" region
  printf '%s\n' "$ca" | put_file /run/patchbay/regions-ca.crt
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
server_id=
[ -z "$QUIC_TARGET_GROUP" ] || server_id=$(/usr/local/sbin/patchbay-quic-target server-id)
{
  printf "PATCHBAY__LIMITS__REDIS__URLS='[\"%s\"]'\n" "$url"
  printf "PATCHBAY__ENGINES__DISCOVERY__URL='%s'\n" "$url"
  [ -z "$server_id" ] || printf "PATCHBAY__WEBTRANSPORT__CONNECTION_IDS__SERVER_ID='%s'\n" "$server_id"
} | put_file /run/patchbay/environment
