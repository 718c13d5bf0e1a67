"""Files that say what they are: a magic, facts, a payload, and digests of both, so that nothing damaged is ever used.

Layout, in bytes:

    16  magic: what kind of file
     8  length of the facts, little-endian
    32  SHA-256 of the facts
     n  the facts: a JSON object; `payload_bytes` and `payload_sha256` are among them
     m  the payload, to the end of the file

The digests find damage, not malice: whoever may write the folder may write a file that is in order.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

MAGIC_BYTES = 16
MAX_FACTS_BYTES = 1 << 20
_LENGTH_BYTES, _DIGEST_BYTES = 8, 32
_PREFIX_BYTES = MAGIC_BYTES + _LENGTH_BYTES + _DIGEST_BYTES


class Sealed(NamedTuple):
    facts: dict[str, Any]
    payload: bytes


def write_sealed(path: Path, *, magic: bytes, facts: dict[str, Any], payload: bytes) -> None:
    """Write the file whole or not at all: readers see the old one until the new one is on the disk.

    Raises:
        OSError: it cannot be written.
    """
    sealed_facts = facts | {"payload_bytes": len(payload), "payload_sha256": hashlib.sha256(payload).hexdigest()}
    text = json.dumps(sealed_facts, sort_keys=True).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(magic)
            file.write(len(text).to_bytes(_LENGTH_BYTES, "little"))
            file.write(hashlib.sha256(text).digest())
            file.write(text)
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def read_facts(path: Path, *, magic: bytes) -> dict[str, Any]:
    """Read the facts alone; the payload's length is checked, its digest is not.

    Raises:
        ModelRejected: no such file, another kind of file, or a damaged one.
    """
    try:
        with path.open("rb") as file:
            facts, facts_end = _facts(path, file.read(_PREFIX_BYTES + MAX_FACTS_BYTES), magic)
            payload_bytes = os.fstat(file.fileno()).st_size - facts_end
    except OSError as error:
        raise ModelRejected(str(path), [f"it cannot be read: {error.strerror or error}"]) from error
    _check_length(path, facts, payload_bytes)
    return facts


def read_sealed(path: Path, *, magic: bytes) -> Sealed:
    """Read and check everything.

    Raises:
        ModelRejected: no such file, another kind of file, or a damaged one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelRejected(str(path), [f"it cannot be read: {error.strerror or error}"]) from error
    facts, facts_end = _facts(path, content, magic)
    payload = content[facts_end:]
    _check_length(path, facts, len(payload))
    if hashlib.sha256(payload).hexdigest() != facts.get("payload_sha256"):
        raise ModelRejected(str(path), ["its content is damaged: it does not have the digest that its header names"])
    return Sealed(facts, payload)


def _facts(path: Path, content: bytes, magic: bytes) -> tuple[dict[str, Any], int]:
    """Give the facts and where they end."""
    if content[:MAGIC_BYTES] != magic:
        kind = magic.decode().strip()
        raise ModelRejected(str(path), [f"it is not a file of Patchbay's of the kind {kind}"])
    length = int.from_bytes(content[MAGIC_BYTES : MAGIC_BYTES + _LENGTH_BYTES], "little")
    text = content[_PREFIX_BYTES : _PREFIX_BYTES + length]
    digest = content[MAGIC_BYTES + _LENGTH_BYTES : _PREFIX_BYTES]
    if length > MAX_FACTS_BYTES or len(text) != length or hashlib.sha256(text).digest() != digest:
        raise ModelRejected(str(path), ["its header is damaged or cut off"])
    facts: dict[str, Any] = json.loads(text)
    return facts, _PREFIX_BYTES + length


def _check_length(path: Path, facts: dict[str, Any], payload_bytes: int) -> None:
    if payload_bytes != facts.get("payload_bytes"):
        raise ModelRejected(
            str(path), [f"its content has {payload_bytes} bytes, its header says {facts.get('payload_bytes')}"]
        )
