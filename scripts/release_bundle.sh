#!/usr/bin/env bash
# Makes a bundle that hosts install Patchbay from: wheels of everything, and their digests (docs/deploy.md,
# terraform/modules/host_software).
#
# usage: scripts/release_bundle.sh gateway|gpu DIRECTORY
#   gateway   the locked requirements, with what copies of the decision log in S3 need
#   gpu       for engines: ONNX Runtime for CUDA in the place of the one for CPUs, as it is resolved today
#
# PATCHBAY_BUNDLE_PYTHON is the version of Python on the hosts: 3.12. They are x86-64 with glibc 2.28 or later.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
target=${2:-}
case "$kind" in gateway | gpu) ;; *) echo 'usage: scripts/release_bundle.sh gateway|gpu DIRECTORY' >&2; exit 64 ;; esac
[ -n "$target" ] || { echo 'usage: scripts/release_bundle.sh gateway|gpu DIRECTORY' >&2; exit 64; }
python=${PATCHBAY_BUNDLE_PYTHON:-3.12}
version=$(.venv/bin/python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')

say() { printf 'release-bundle: %s\n' "$*" >&2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bundle/wheels" "$target"
here=(.venv/bin/python -m pip --quiet --disable-pip-version-check)
fetch=("${here[@]}" download --dest "$work/bundle/wheels" --only-binary :all: --implementation cp --python-version "$python"
  --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux_2_27_x86_64
  --platform manylinux_2_28_x86_64 --abi "cp${python/./}" --abi abi3 --abi none)

# locked NAME...: these lines of a lock, with their hashes.
locked() {
  .venv/bin/python - "$@" <<'PYTHON'
import re, sys
from pathlib import Path

lock, *names = sys.argv[1:]
for block in re.split(r"\n(?=\S)", Path(f"requirements/{lock}.txt").read_text()):
    if re.split(r"[=<>\[]", block, maxsplit=1)[0] in names:
        print(block)
PYTHON
}

say "wheels of Patchbay $version and of its locked requirements, for Python $python"
"${here[@]}" wheel --no-deps --no-build-isolation --wheel-dir "$work/bundle/wheels" .
if [ "$kind" = gateway ]; then
  cp requirements/runtime.txt "$work/locked.txt"
  locked dev boto3 botocore jmespath s3transfer python-dateutil six urllib3 >"$work/more.txt"
  "${fetch[@]}" --no-deps --require-hashes --requirement "$work/more.txt"
else
  .venv/bin/python - >"$work/locked.txt" <<'PYTHON'
import re
from pathlib import Path

blocks = re.split(r"\n(?=\S)", Path("requirements/runtime.txt").read_text())
print("\n".join(block for block in blocks if not block.startswith("onnxruntime==")))
PYTHON
  say 'ONNX Runtime for CUDA with its libraries, some gigabytes'
  "${fetch[@]}" 'onnxruntime-gpu[cuda,cudnn]>=1.31' 'cuda-bindings>=13,<14' 'nvidia-cuda-nvrtc>=13,<14'
fi
"${fetch[@]}" --no-deps --require-hashes --requirement "$work/locked.txt"
"${fetch[@]}" --no-deps pip

# What a host installs is what lies here: one line for each wheel, by its digest.
.venv/bin/python - "$work/bundle" <<'PYTHON'
import hashlib, sys
from pathlib import Path

bundle = Path(sys.argv[1])
found = {}
for wheel in sorted((bundle / "wheels").glob("*.whl")):
    name, version = wheel.name.split("-")[:2]
    found.setdefault(f"{name.replace('_', '-').lower()}=={version}", []).append(hashlib.sha256(wheel.read_bytes()).hexdigest())
names = [line.partition("==")[0] for line in found]
twice = sorted({name for name in names if names.count(name) > 1})
if twice:
    sys.exit(f"release-bundle: two versions of {', '.join(twice)}: lock one of them")
text = "".join(f"{name} {' '.join(f'--hash=sha256:{digest}' for digest in digests)}\n" for name, digests in found.items())
(bundle / "requirements.txt").write_text(text)
PYTHON
bundle=$target/patchbay-$kind.tar.gz
# The same files give the same bytes, whoever packs them and when.
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime='2000-01-01 UTC' --directory "$work/bundle" requirements.txt wheels |
  gzip --no-name >"$bundle"
say "$bundle: $(wc -l <"$work/bundle/requirements.txt") packages, $(du -h "$bundle" | cut -f1)"
printf '{"bundle": "%s", "version": "%s", "sha256": "%s"}\n' "$kind" "$version" "$(sha256sum "$bundle" | cut -d' ' -f1)"
