#!/usr/bin/env bash
# A real Triton server for tests, on the CPU, in .triton: unpacked from the package nvidia-pytriton, which is not installed.
# Its Python backend runs a Python of its own, which must be the version of .venv, and needs NumPy before 2; ONNX Runtime is
# borrowed from .venv. Does only what is missing.
#
# usage: scripts/triton.sh [--if-possible]     with --if-possible a machine that cannot have it is no failure
set -euo pipefail
cd "$(dirname "$0")/.."
is_optional=${1:-}

say() { printf 'triton: %s\n' "$*"; }
cannot() {
  say "not set up: $*"
  rm -rf .triton
  [ "$is_optional" = --if-possible ] && exit 0
  exit 69
}

minor=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
library=libpython$minor.so.1.0
digest=$(cat requirements/triton.txt scripts/triton.sh <(echo "$minor") | sha256sum | cut -d' ' -f1)
[ "$(cat .triton/.has 2>/dev/null)" = "$digest" ] && exit 0

case "$minor" in 3.11 | 3.12) ;; *) cannot "it needs Python 3.11 or 3.12 in .venv, not $minor" ;; esac
[ "$(uname -sm)" = "Linux x86_64" ] || cannot "it needs Linux on x86-64, this is $(uname -sm)"
glibc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)
[ "$(printf '2.35\n%s\n' "$glibc" | sort -V | head -1)" = 2.35 ] || cannot "it needs glibc 2.35 or later, this is $glibc"
if ! PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep "$library" >/dev/null; then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || cannot "needs root or sudo for: apt-get install libpython$minor"
    as_root=(sudo)
  fi
  command -v apt-get >/dev/null || cannot "it needs $library; on Debian it is in libpython$minor"
  say "installing libpython$minor"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "libpython$minor" >/dev/null ||
    cannot "this system has no package libpython$minor"
fi

say "downloading 70 MB"
rm -rf .triton
mkdir -p .triton/wheels
.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
  --dest .triton/wheels -r requirements/triton.txt
.venv/bin/python - <<'PYTHON'
"""Unpack what is needed of the two wheels."""
import pathlib
import zipfile

folder = pathlib.Path(".triton")
for wheel in (folder / "wheels").glob("*.whl"):
    zipfile.ZipFile(wheel).extractall(folder / "unpacked")
PYTHON
rm -rf .triton/wheels
server=.triton/unpacked/pytriton/tritonserver
chmod +x "$server/bin/tritonserver"
backend=.triton/backends/python
mkdir -p "$backend"
cp "$server"/backends/python/* "$backend"
cp "$server/python_backend_stubs/$minor/triton_python_backend_stub" "$backend"
chmod +x "$backend/triton_python_backend_stub"
# The interpreter inside Triton looks for modules beside the backend and nowhere else that could be told to it.
packages=$(.venv/bin/python -c 'import pathlib, onnxruntime; print(pathlib.Path(onnxruntime.__file__).parent)')
ln -s "$packages" "$backend/onnxruntime"
ln -s "$PWD"/.triton/unpacked/numpy "$PWD"/.triton/unpacked/numpy.libs "$backend"
echo "$digest" >.triton/.has
say "done"
