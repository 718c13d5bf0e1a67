"""Bundles on disk, and approvers who sign them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.residency.signatures import path_of, sign
from policies.residency.bundles.bundle import files_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Files of a bundle in their folder; what else was in it stays."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}")
        new.write_bytes(data)
        new.replace(target)
    return folder


class Approvers:
    """Persons with a key each."""

    def __init__(self, *names: str) -> None:
        self._keys = {name: Ed25519PrivateKey.generate() for name in names}

    @property
    def public(self) -> dict[str, Ed25519PublicKey]:
        return {name: key.public_key() for name, key in self._keys.items()}

    def keys_in(self, folder: Path) -> Path:
        """Their public keys as files, NAME.pub."""
        folder.mkdir(exist_ok=True)
        for name, key in self.public.items():
            pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            (folder / f"{name}.pub").write_bytes(pem)
        return folder

    def signature(self, name: str, digest: str) -> bytes:
        return sign(digest, self._keys[name])

    def signed(self, files: Mapping[str, bytes], *, by: tuple[str, ...] | None = None) -> dict[str, bytes]:
        """With the signatures of these, or of all."""
        digest = files_digest(files)
        names = tuple(self._keys) if by is None else by
        return {**files, **{path_of(name): self.signature(name, digest) for name in names}}
