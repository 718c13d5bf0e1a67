"""The keys of a region, in a file of its operator's: what wraps subjects' keys, and what pseudonyms are made of.

One key a line, `NAME BASE64`, of 32 bytes each. The line `pseudonym` never changes, or subjects are not found any more.
Of the others the first is current; those below it still open what they closed. To rotate, put a new one first; when
subjects' keys have been put under it, the old line may go. Who destroys all lines has erased everything.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES = 32
_PSEUDONYM = "pseudonym"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_MAX_FILE_BYTES = 16_384
_PSEUDONYM_CHARS = 32


class KeysRefused(Exception):
    """The key file cannot be used; the text says why, and shows no key."""


@dataclass(frozen=True, slots=True)
class RegionKeys:
    """`by_name`: all that can open, the current one among them."""

    current: str
    by_name: dict[str, bytes] = field(repr=False)
    pseudonym_key: bytes = field(repr=False)

    def pseudonym(self, project: str, subject_id: str) -> str:
        """What stands for a subject of a project: 32 hexadecimal digits, the same each time, and of no use without the
        key. Keyed (HMAC-SHA256), as names can be guessed.
        """
        said = f"{project}\0{subject_id}".encode("utf-8", "surrogatepass")
        return hmac.new(self.pseudonym_key, said, hashlib.sha256).hexdigest()[:_PSEUDONYM_CHARS]


def read_region_keys(path: Path) -> RegionKeys:
    """Raises KeysRefused."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeysRefused(f"{path} may be read by others: chmod 600")
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1).decode("ascii")
    except OSError as error:
        raise KeysRefused(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeysRefused(f"{path} holds something that is no key") from None
    found: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not _NAME.fullmatch(words[0]) or words[0] in found:
            raise KeysRefused(f"{path}:{number}: expected `NAME BASE64`, each name once")
        found[words[0]] = _key_of(words[1], f"{path}:{number}")
    pseudonym_key = found.pop(_PSEUDONYM, None)
    if pseudonym_key is None or not found:
        raise KeysRefused(f"{path} needs a line `{_PSEUDONYM}` and at least one other")
    return RegionKeys(next(iter(found)), found, pseudonym_key)


def _key_of(text: str, place: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeysRefused(f"{place}: this is no base64") from None
    if len(key) != KEY_BYTES:
        raise KeysRefused(f"{place}: a key has {KEY_BYTES} bytes, not {len(key)}")
    return key


def add_key(path: Path) -> str:
    """Make the file, or put a new current key into it; its name. Raises KeysRefused and OSError."""
    lines: list[str] = []
    names: set[str] = set()
    if path.exists():
        names = set(read_region_keys(path).by_name)
        lines = path.read_text(encoding="ascii").splitlines()
    else:
        lines = [f"{_PSEUDONYM} {_new_key()}"]
    number = 1
    while f"k{number}" in names:
        number += 1
    name = f"k{number}"
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join([f"{name} {_new_key()}", *lines]) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return name


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
