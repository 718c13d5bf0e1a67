#!/usr/bin/env bash
# Brings catalog, plans, keys and the policy bundle from the region's artifact bucket, before the first start and every
# minute. The gateway looks at the files by itself, takes what it may use, and keeps what it had otherwise.
set -euo pipefail
. /etc/patchbay/functions.sh
. /etc/patchbay/host.env
export AWS_DEFAULT_REGION

# In one step, and only where it differs: a file that is written anew each minute would be read anew each minute.
new=$(mktemp /etc/patchbay/catalog.XXXXXX)
trap 'rm --force "$new"' EXIT
aws s3 cp --only-show-errors "s3://$ARTIFACT_BUCKET/catalog/catalog.toml" "$new"
if ! cmp --silent "$new" /etc/patchbay/catalog.toml; then
  chmod 0640 "$new"
  chown root:patchbay "$new"
  mv --force "$new" /etc/patchbay/catalog.toml
fi

install --directory --owner root --group patchbay --mode 0750 /etc/patchbay/config
aws s3 sync --only-show-errors --delete "s3://$ARTIFACT_BUCKET/config/" /etc/patchbay/config/
chown --recursive root:patchbay /etc/patchbay/config
chmod --recursive u=rwX,g=rX,o= /etc/patchbay/config

if [ "$HAS_POLICY" = yes ]; then
  sum=$(sha256sum /etc/patchbay/config/policy.tar.gz | cut --characters 1-16)
  folder="/etc/patchbay/policies/$sum"
  if [ ! -d "$folder" ]; then
    install --directory --owner root --group patchbay --mode 0750 /etc/patchbay/policies "$folder.new"
    tar --extract --gzip --no-same-owner --no-same-permissions --file /etc/patchbay/config/policy.tar.gz --directory "$folder.new"
    chown --recursive root:patchbay "$folder.new"
    chmod --recursive u=rwX,g=rX,o= "$folder.new"
    mv --no-target-directory "$folder.new" "$folder"
  fi
  ln --symbolic --force --no-dereference "$folder" /etc/patchbay/policy.new
  mv --force --no-target-directory /etc/patchbay/policy.new /etc/patchbay/policy
fi
