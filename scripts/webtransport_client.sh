#!/usr/bin/env bash
# pywebtransport, a client that is not ours, for tests: in .venv-webtransport, because it needs an older cryptography than
# we do. Beside it, in a folder of its own, the newer version that does not get on with us. Does only what is missing.
#
# usage: scripts/webtransport_client.sh [--if-possible]     with --if-possible a machine that cannot have it is no failure
set -euo pipefail
cd "$(dirname "$0")/.."
is_optional=${1:-}
home=.venv-webtransport

say() { printf 'webtransport client: %s\n' "$*"; }
cannot() {
  say "not set up: $*"
  rm -rf "$home"
  [ "$is_optional" = --if-possible ] && exit 0
  exit 69
}

digest=$(cat requirements/webtransport-client.txt requirements/webtransport-client-newer.txt scripts/webtransport_client.sh \
  <(.venv/bin/python -VV) | sha256sum | cut -d' ' -f1)
[ "$(cat $home/.has 2>/dev/null)" = "$digest" ] && exit 0

say "installing $(cat requirements/webtransport-client*.txt | grep -c '==') locked packages"
rm -rf "$home"
.venv/bin/python -m venv "$home"
install=("$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes)
"${install[@]}" -r requirements/webtransport-client.txt || cannot "its packages cannot be had"
"${install[@]}" --target "$home/newer" -r requirements/webtransport-client-newer.txt || cannot "its packages cannot be had"
echo "$digest" >"$home/.has"
say "done"
