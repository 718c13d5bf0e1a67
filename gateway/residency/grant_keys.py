"""Keys that placement grants are signed with: made once for a region on one machine, as files that stay.

Where several machines make up a region, or several regions trust each other, operators hand the same files out:
`patchbay policy keygen` makes such pairs.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.residency.grants import load_grant_key

if TYPE_CHECKING:
    from pathlib import Path


def key_file(directory: Path) -> Path:
    return directory / "grant-key.pem"


def keys_directory(directory: Path) -> Path:
    """Public keys, for engines and relays."""
    return directory / "grant-keys"


def create_grant_keys(directory: Path, region: str) -> None:
    """Make the region's pair unless it is there; processes that race all get the same one.

    Raises:
        GrantKeyUnusable: what is there is no such key.
        OSError: the directory cannot be written.
    """
    path = key_file(directory)
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _put(path, pem, mode=0o600, replaces=False)
    public_pem = (
        load_grant_key(path)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    folder = keys_directory(directory)
    folder.mkdir(exist_ok=True)
    _put(folder / f"{region}.pem", public_pem, mode=0o644, replaces=True)


def _put(path: Path, data: bytes, *, mode: int, replaces: bool) -> None:
    """Whole or not at all. Not `replaces`: what is there stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            draft.replace(path)
            return
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
