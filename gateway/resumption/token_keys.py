"""The secrets that resume tokens are signed with: of the settings, of a file, or made for one process or folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.resumption.settings import MIN_KEY_CHARS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.resumption.settings import ResumptionSettings

_NEW_KEY_BYTES = 48
_KEY_ID_CHARS = 8


class ResumptionRefused(Exception):
    """The keys cannot be used; `mistakes` says why, and never shows one."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """`by_id`: all that are believed; `signer`: the id of the one that signs."""

    signer: str
    by_id: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"TokenKeys({len(self.by_id)} keys)"


def load_token_keys(settings: ResumptionSettings) -> TokenKeys:
    """Those of the settings, or a new one.

    Raises:
        ResumptionRefused: the file cannot be read, or holds no good key.
    """
    if settings.key_file is not None:
        return _keys(_read(settings.key_file))
    return _keys([key.get_secret_value() for key in settings.keys] or [_new_key()])


def create_key_file(path: Path) -> None:
    """Make a file with one random key, for its owner's eyes; one that is there stays. Raises OSError."""
    if path.exists():
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made for the owner alone
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_new_key()}\n")
        with contextlib.suppress(FileExistsError):
            os.link(name, path)  # whole or not at all, and the first wins
    finally:
        Path(name).unlink()


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ResumptionRefused([f"resumption.key_file: {path} cannot be read: {why}"]) from None
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    mistakes = [
        f"resumption.key_file: key {number} of {path} has less than {MIN_KEY_CHARS} characters"
        for number, key in enumerate(keys, 1)
        if len(key) < MIN_KEY_CHARS
    ]
    if not keys:
        mistakes.append(f"resumption.key_file: {path} holds no key")
    if mistakes:
        raise ResumptionRefused(mistakes)
    return keys


def _keys(texts: Sequence[str]) -> TokenKeys:
    by_id = {_id_of(text): text.encode() for text in texts}
    return TokenKeys(_id_of(texts[0]), by_id)


def _id_of(key: str) -> str:
    """Says which key it was and nothing of it: a digest of a random secret cannot be turned back."""
    return hashlib.sha256(f"patchbay resume key {key}".encode()).hexdigest()[:_KEY_ID_CHARS]


def _new_key() -> str:
    return secrets.token_urlsafe(_NEW_KEY_BYTES)
