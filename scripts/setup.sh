#!/usr/bin/env bash
# Everything that `make demo` and `make test` need, on a fresh Debian machine with Python 3.11 or later: system packages,
# a virtual environment in .venv, the locked requirements, Patchbay itself. Does only what is missing.
#
# usage: scripts/setup.sh runtime|dev|interop
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-runtime}
lock=requirements/$kind.txt
[ -f "$lock" ] || { echo "setup: no such kind of set-up: $kind" >&2; exit 64; }

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 69; }

python=${PYTHON:-python3}
packages=()
command -v "$python" >/dev/null || packages+=(python3)
command -v redis-server >/dev/null || packages+=(redis-server)
if command -v "$python" >/dev/null; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or later is needed, this is $("$python" --version 2>&1); set PYTHON to another one"
  "$python" -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
else
  packages+=(python3-venv)
fi
[ "$kind" = runtime ] || command -v haproxy >/dev/null || packages+=(haproxy)   # the peer of `make bench`
[ "$kind" = runtime ] || compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || packages+=(libfaketime)   # clocks that leap
[ "$kind" = runtime ] || command -v curl >/dev/null || packages+=(curl)         # documented commands use it
[ "$kind" = runtime ] || command -v chromium >/dev/null || packages+=(chromium)        # the console is tried in it
[ "$kind" = runtime ] || command -v chromedriver >/dev/null || packages+=(chromium-driver)

if [ "${#packages[@]}" -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    fail "this is not Debian: install what these Debian packages hold, then call make again: ${packages[*]}"
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "needs root or sudo for: apt-get install ${packages[*]}"
    as_root=(sudo)
  fi
  say "installing ${packages[*]}"
  # A distribution's redis-server starts a server of its own at installation; Patchbay never uses that one.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# Kinds in their order: each holds the ones before it. A note in .venv says what was installed from which lock.
digest_of() { cat "requirements/$1.txt" requirements/build.txt pyproject.toml scripts/setup.sh | sha256sum | cut -d' ' -f1; }
if [ -x .venv/bin/patchbay ] && [ "$(cat ".venv/.has-$kind" 2>/dev/null)" = "$(digest_of "$kind")" ]; then
  exit 0
fi
if [ ! -x .venv/bin/python ]; then
  say "making the virtual environment .venv"
  "$python" -m venv .venv
fi
say "installing $(grep -c '==' "$lock") locked packages"
# --no-deps: the lock is complete; silero-vad's torch is left out on purpose (requirements/README.md).
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
# Last, because a venv's own setuptools is too old to read pyproject.toml.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/build.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
for smaller in runtime dev interop; do
  digest_of "$smaller" >".venv/.has-$smaller"
  [ "$smaller" = "$kind" ] && break
done
say "done"
