"""A second version of the embedded model: the same weights, and other bytes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from engines.server.options import EMBEDDED_MODEL

if TYPE_CHECKING:
    from pathlib import Path

_DOC_STRING_V2 = b"\x32\x02v2"
"""A field of ONNX's ModelProto."""


def write_next_version(models: Path) -> Path:
    """Make `models`/next/embedded; its path."""
    where = models / "next" / EMBEDDED_MODEL.name
    shutil.copytree(EMBEDDED_MODEL, where)
    with (where / "model.onnx").open("ab") as model:
        model.write(_DOC_STRING_V2)
    return where
