"""Emergency permissions as bytes, for Redis and for the copy on disk.

Fields of a later release are passed over. What cannot be read as a whole is not read in part: a permission that is left
out would be closed when the others are written again, and one that was closed could open.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec

from policies.residency.break_glass import MAX_PERMISSIONS, Permission, Permissions

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1_048_576
_FORMAT = 1
_DIGEST_CHARS = 16


class GlassMalformed(Exception):
    """What was read are no permissions."""


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    format: int = _FORMAT
    revision: int
    permissions: tuple[Permission, ...]


def encode(permissions: Permissions) -> bytes:
    """The same bytes for the same permissions."""
    return msgspec.json.encode(_Document(revision=permissions.revision, permissions=permissions.permissions))


def decode(raw: bytes) -> Permissions:
    """Raises GlassMalformed."""
    if len(raw) > MAX_BYTES:
        raise GlassMalformed(f"larger than {MAX_BYTES} bytes")
    try:
        document = msgspec.json.decode(raw, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GlassMalformed(str(error)) from None
    if document.format > _FORMAT or document.revision < 0 or len(document.permissions) > MAX_PERMISSIONS:
        raise GlassMalformed("of a later release")
    return Permissions(document.revision, document.permissions)


def digest_of(permissions: Permissions) -> str:
    return hashlib.sha256(encode(permissions)).hexdigest()[:_DIGEST_CHARS]


def version_of(permissions: Permissions) -> str:
    """As the store names it."""
    return f"{permissions.revision}.{digest_of(permissions)}"


def newer(one: Permissions, other: Permissions) -> Permissions:
    """Which of two holds: the same one wherever it is asked, in whatever order they came."""
    return max(one, other, key=lambda permissions: (permissions.revision, digest_of(permissions)))


def read_copy(path: Path) -> Permissions:
    """None there: no permissions. Raises OSError and GlassMalformed."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return Permissions()


def write_copy(path: Path, permissions: Permissions) -> None:
    """On the disk when this returns, as a whole. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encode(permissions))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
