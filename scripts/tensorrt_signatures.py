"""Reads the signatures that TensorRT's bindings carry, on a machine that has neither TensorRT nor a GPU.

    python scripts/tensorrt_signatures.py WHEEL... > tests/engines/backends/tensorrt/signatures.json

Each WHEEL is one of tensorrt-cu13-bindings. Its module is linked against libraries that come in another package, and of
those it needs only a few entry points to be imported; empty ones are compiled here (needs a C compiler). pybind11 then
writes each function's signature into its docstring. Only what engines/backends/tensorrt/api.py names is printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

CLASSES = {
    "IHostMemory": "HostMemory",
    "ITensor": "Tensor",
    "INetworkDefinition": "Network",
    "IOptimizationProfile": "OptimizationProfile",
    "ITimingCache": "TimingCache",
    "IBuilderConfig": "BuilderConfig",
    "Builder": "Builder",
    "ParserError": "ParserError",
    "OnnxParser": "OnnxParser",
    "IExecutionContext": "ExecutionContext",
    "EngineInspector": "EngineInspector",
    "ICudaEngine": "CudaEngine",
    "Runtime": "Runtime",
}
"""TensorRT's classes and the protocols in api.py that mirror them."""
CALLBACKS = {
    "ILogger": ("log",),
    "IProgressMonitor": ("phase_start", "step_complete", "phase_finish"),
}
CONSTRUCTORS = ("Builder", "OnnxParser", "Runtime")

_ENTRY_POINTS = """
void *createInferBuilder_INTERNAL(void) { return 0; }
void *createInferRefitter_INTERNAL(void) { return 0; }
void *createInferRuntime_INTERNAL(void) { return 0; }
void *createNvOnnxParserRefitter_INTERNAL(void) { return 0; }
void *createNvOnnxParser_INTERNAL(void) { return 0; }
void *getBuilderPluginRegistry(void) { return 0; }
void *getPluginRegistry(void) { return 0; }
int getNvOnnxParserVersion(void) { return 0; }
int getInferLibVersion(void) { return 0; }
int initLibNvInferPlugins(void) { return 0; }
"""
_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--read"]:
        import tensorrt_bindings  # found through PYTHONPATH

        print(json.dumps(read(tensorrt_bindings)))
        return 0
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 64
    found = dict(signatures_of(Path(wheel)) for wheel in arguments)
    print(json.dumps(dict(sorted(found.items())), indent=1, sort_keys=True))
    return 0


def signatures_of(wheel: Path) -> tuple[str, dict[str, Any]]:
    """Give a wheel's version and what its module says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zipfile.ZipFile(wheel).extractall(folder)
        package = folder / "tensorrt_bindings"
        needed = subprocess.run(
            ["readelf", "-d", package / "tensorrt.so"], check=True, capture_output=True, text=True
        ).stdout
        source = folder / "entry_points.c"
        source.write_text(_ENTRY_POINTS)
        for library in re.findall(r"\[(lib(?:" + "|".join(_LIBRARIES) + r")\.so\.\d+)\]", needed):
            command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", package / library, source]
            subprocess.run(command, check=True)
        environment = os.environ | {"PYTHONPATH": name, "LD_LIBRARY_PATH": str(package)}
        printed = subprocess.run(
            [sys.executable, __file__, "--read"], env=environment, check=True, capture_output=True, text=True
        ).stdout
    signatures: dict[str, Any] = json.loads(printed)
    return signatures.pop("version"), signatures


def read(module: Any) -> dict[str, Any]:
    """Give, of an imported module: `classes` (a member is "property" or a list of overloads, each the names of its
    parameters), `enumerations` (their members) and the `version`.
    """
    classes: dict[str, dict[str, Any]] = {}
    for class_name in [*CLASSES, *CALLBACKS]:
        found = getattr(module, class_name)
        classes[class_name] = {
            name: overloads(getattr(found, name).__doc__, name) if callable(getattr(found, name)) else "property"
            for name in dir(found)
            if not name.startswith("_")
        }
    for class_name in CONSTRUCTORS:
        classes[class_name]["__init__"] = overloads(getattr(module, class_name).__init__.__doc__, "__init__")
    enumerations = {
        name: sorted(getattr(module, name).__members__)
        for name in dir(module)
        if hasattr(getattr(module, name), "__members__")
    }
    return {"version": module.__version__, "classes": classes, "enumerations": enumerations}


def overloads(documented: str | None, name: str) -> list[list[str]]:
    """Read the names of the parameters, without `self`, of each signature in a docstring of pybind11's."""
    lines = re.findall(rf"^\s*(?:\d+\. )?{name}\((.*)\) -> ", documented or "", re.MULTILINE)
    return [[parameter.split(":")[0].strip() for parameter in _split(line) if parameter][1:] for line in lines]


def _split(parameters: str) -> list[str]:
    """Split at the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(parameters):
        depth += (character in "[(<") - (character in "])>")
        if character == "," and not depth:
            parts.append(parameters[start:at])
            start = at + 1
    return [*parts, parameters[start:]]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
