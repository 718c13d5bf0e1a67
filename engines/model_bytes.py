"""The bytes of a model's files, before anything runs: their size, what they name, and the digest of them all."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from engines.model_header import HeaderGarbled, ModelHeader, read_header
from engines.model_quantisation import quantisation_mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BUILT_IN_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
)
_READ_BYTES = 1 << 20


def checked_header(model_file: Path, *, max_bytes: int, mistakes: list[str]) -> ModelHeader:
    """Walk a file without running anything; what is wrong with it or its external weights is added to `mistakes`."""
    size_bytes = model_file.stat().st_size
    if size_bytes > max_bytes:
        mistakes.append(f"it has {size_bytes} bytes, at most {max_bytes} are allowed")
        return ModelHeader()
    try:
        header = read_header(model_file)
    except (HeaderGarbled, OSError) as error:
        mistakes.append(f"it is not an ONNX file: {error}")
        return ModelHeader()
    for location in sorted(header.external_files):
        found = _inside_folder(model_file.parent, location)
        if found is None:
            mistakes.append(f"its weights in {location!r} must be a file inside the model's folder")
        else:
            size_bytes += found.stat().st_size
    if size_bytes > max_bytes:
        mistakes.append(f"with its weights it has {size_bytes} bytes, at most {max_bytes} are allowed")
    mistakes.extend(
        f"it uses operators of the domain {domain!r}; only ONNX's and ONNX Runtime's own are allowed"
        for domain in sorted(header.operator_domains - _BUILT_IN_DOMAINS)
    )
    mistakes.extend(
        f"its metadata gives {key!r} more than once"
        for key, times in sorted(Counter(header.metadata_keys).items())
        if times > 1
    )
    mistakes.extend(quantisation_mistakes(header))
    return header


def _inside_folder(folder: Path, location: str) -> Path | None:
    try:
        found = (folder / location).resolve(strict=True)
        return found if found.is_file() and found.is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError, ValueError):
        return None


def files_version(headers: Mapping[Path, ModelHeader]) -> str:
    """Name the weights: replay is exact only within one version, so external data counts too.

    Args:
        headers: the model's ONNX files in a fixed order, with what each says of itself.
    """
    digest = hashlib.sha256()
    for model_file, header in headers.items():
        for path in (model_file, *(model_file.parent / location for location in sorted(header.external_files))):
            with path.open("rb") as file:
                while block := file.read(_READ_BYTES):
                    digest.update(block)
    return digest.hexdigest()[:16]
