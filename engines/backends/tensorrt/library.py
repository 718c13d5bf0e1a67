"""Finds TensorRT: imports it, refuses versions that were not looked at, and listens to what it complains of."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, cast

from engines.backends.tensorrt.cuda_device import HOW_TO_INSTALL
from engines.errors import RuntimeMissing

if TYPE_CHECKING:
    from engines.backends.tensorrt.api import TensorRt

LEAST_VERSION, FIRST_UNKNOWN_VERSION = (10, 14), (12, 0)
"""What the signatures of the bindings were read of, 10.14 to 11.4: see api.py."""

_MODULE = "tensorrt"
_MAX_COMPLAINTS = 20


def load_tensorrt() -> TensorRt:
    """Import TensorRT.

    Raises:
        RuntimeMissing: it, or a library that it needs, is not installed, or it is another version.
    """
    try:
        library = cast("TensorRt", importlib.import_module(_MODULE))
    except (ImportError, OSError) as error:
        raise RuntimeMissing(_MODULE, [f"TensorRT cannot be imported ({error}): {HOW_TO_INSTALL}"]) from error
    if not is_supported(str(getattr(library, "__version__", ""))):
        least, first_unknown = _joined(LEAST_VERSION), _joined(FIRST_UNKNOWN_VERSION)
        found = getattr(library, "__version__", "one that does not say")
        raise RuntimeMissing(_MODULE, [f"TensorRT must be {least} or later and before {first_unknown}, not {found}"])
    return library


def is_supported(version: str) -> bool:
    """Whether a version like 10.16.1.11 is one that this code was written for."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and LEAST_VERSION <= (int(numbers[1]), int(numbers[2])) < FIRST_UNKNOWN_VERSION


class Complaints:
    """The newest errors and warnings of TensorRT. `logger` must outlive whatever it is given to."""

    def __init__(self, library: TensorRt) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        severity = library.ILogger.Severity
        errors, warnings = (severity.INTERNAL_ERROR, severity.ERROR), (severity.WARNING,)

        def log(_logger: object, severity: Any, msg: str) -> None:
            kept = self.errors if severity in errors else self.warnings if severity in warnings else None
            if kept is not None:
                kept.append(" ".join(msg.split())[:500])
                del kept[:-_MAX_COMPLAINTS]

        self.logger: Any = type("ComplaintsLogger", (library.ILogger,), {"log": log})()

    def last_errors(self, count: int = 3) -> str:
        return "; ".join(self.errors[-count:]) or "it gave no reason"


def _joined(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
