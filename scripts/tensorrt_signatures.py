"""Reads the signatures that TensorRT's bindings carry, on a machine that has neither TensorRT nor a GPU.

    python scripts/tensorrt_signatures.py WHEEL... > tests/engines/backends/tensorrt/signatures.json

Each WHEEL is one of tensorrt-cu13-bindings. Its module is linked against libraries that come in another package, and of
those it needs only a few entry points to be imported; empty ones are compiled here (needs a C compiler). pybind11 then
writes each function's signature into its docstring. Only what engines/backends/tensorrt/api.py names is printed.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from engines.backends.tensorrt import api

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
        print(json.dumps(read(importlib.import_module("tensorrt_bindings"))))  # found through PYTHONPATH
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
        root = Path(__file__).parent.parent
        environment = os.environ | {"PYTHONPATH": f"{name}:{root}", "LD_LIBRARY_PATH": str(package)}
        printed = subprocess.run(
            [sys.executable, __file__, "--read"], env=environment, check=True, capture_output=True, text=True
        ).stdout
    signatures: dict[str, Any] = json.loads(printed)
    return signatures.pop("version"), signatures


def read(module: Any) -> dict[str, Any]:
    """Give, of an imported module: `classes` (a member is "property" or a list of overloads, each the names of its
    parameters), `enumerations` (their members) and the `version`.
    """
    return {
        "version": module.__version__,
        "classes": {name: _members(getattr(module, name), names) for name, names in named().items()},
        "enumerations": {
            name: sorted(set(getattr(getattr(module, name, None), "__members__", ())) & set(members))
            for name, members in api.MEMBERS.items()
        },
    }


def named() -> dict[str, list[str]]:
    """Give what api.py names of each of TensorRT's classes."""
    names = {
        real: sorted(name for name in {*vars(protocol), *protocol.__annotations__} if not name.startswith("_"))
        for real, protocol in ((real, getattr(api, mirror)) for real, mirror in CLASSES.items())
    }
    for real in CONSTRUCTORS:
        names[real].append("__init__")
    return names | {real: list(called) for real, called in CALLBACKS.items()}


def _members(found: Any, names: list[str]) -> dict[str, Any]:
    """Members that this version lacks are left out."""
    return {
        name: overloads(getattr(found, name).__doc__, name) if callable(getattr(found, name)) else "property"
        for name in names
        if hasattr(found, name)
    }


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
