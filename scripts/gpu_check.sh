#!/usr/bin/env bash
# Runs tests/gpu wherever an NVIDIA GPU is, in an environment of its own (.venv-gpu: onnxruntime-gpu cannot lie beside
# onnxruntime), and says what was run and with which versions. Without a GPU it says so and exits 0.
#
# PATCHBAY_GPU_WHEELS names a folder of wheels for a machine that reaches no package registry.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf 'gpu-check: %s\n' "$*"; }

if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
  say "nvidia-smi finds no NVIDIA GPU: nothing was run on a GPU"
  say "not run: onnx-cuda, onnx-tensorrt, tensorrt (conformance, engine files, graphs, step times)"
  exit 0
fi
nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv,noheader | sed 's/^/gpu-check: GPU, driver, capability, memory: /'

python=${PYTHON:-python3}
source_of_wheels=()
[ -z "${PATCHBAY_GPU_WHEELS:-}" ] || source_of_wheels=(--no-index --find-links "$PATCHBAY_GPU_WHEELS")
pip=(.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check "${source_of_wheels[@]}")
if [ ! -e .venv-gpu/.ready ]; then
  [ -x .venv-gpu/bin/python ] || "$python" -m venv .venv-gpu
  "${pip[@]}" --no-deps -r <(sed -e 's/ *\\$//' -e '/^ *--hash/d' -e '/^onnxruntime==/d' requirements/dev.txt)
  "${pip[@]}" 'setuptools>=77'
  "${pip[@]}" 'onnxruntime-gpu[cuda,cudnn]>=1.31' 'cuda-bindings>=13,<14' 'nvidia-cuda-nvrtc>=13,<14'
  # Its libraries come from NVIDIA's own registry; without them the rest is run all the same.
  "${pip[@]}" 'tensorrt-cu13>=10.14,<11' || say "TensorRT could not be installed: what needs it is not run"
  "${pip[@]}" --no-deps --no-build-isolation -e .
  touch .venv-gpu/.ready
fi
.venv-gpu/bin/python - <<'PYTHON'
import onnxruntime
from engines.backends.tensorrt.readiness import readiness
found = readiness()
print(f"gpu-check: CUDA of the driver {found.driver_cuda_version}, of the bindings {found.bindings_cuda_version}; "
      f"TensorRT {found.tensorrt_version or 'none'}; onnxruntime {onnxruntime.__version__} {onnxruntime.get_available_providers()}")
for mistake in found.missing:
    print(f"gpu-check: not run, the backend tensorrt: {mistake}")
PYTHON
status=0
.venv-gpu/bin/python -m pytest -v -s -m gpu tests/gpu || status=$?
[ "$status" -ne 5 ] || { say "no test could be run: its libraries are missing"; exit 0; }
exit "$status"
