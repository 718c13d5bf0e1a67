"""The keys of checkpoints: Ed25519, in PEM files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from policies.residency.record_chain.checkpoint import key_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from policies.residency.record_chain.verify_checkpoints import Keys

_MAX_KEY_FILE_BYTES = 65_536
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


class KeyUnusable(Exception):
    """A key file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Signer:
    key_id: str
    sign: Callable[[bytes], bytes]
    public_pem: bytes


def load_signer(path: Path) -> Signer:
    """Raises KeyUnusable."""
    raw = _read(path)
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"{path} is no private key in PEM: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} is no Ed25519 key")
    return _signer_of(key)


def create_signing_key(path: Path) -> Signer:
    """A new pair: the private half at `path` for its owner alone, the public one beside it with `.pub`.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    signer = _signer_of(key)
    path.with_name(f"{path.name}.pub").write_bytes(signer.public_pem)
    return signer


def load_public_keys(paths: Iterable[Path]) -> Keys:
    """By key id. A file may hold several, one after another.

    Raises:
        KeyUnusable: one cannot be read or is no public Ed25519 key.
    """
    keys: dict[str, Callable[[bytes, bytes], bool]] = {}
    for path in paths:
        text = _read(path).decode("latin-1")
        blocks = [f"{_BEGIN}{block.split(_END)[0]}{_END}\n" for block in text.split(_BEGIN)[1:]]
        if not blocks:
            raise KeyUnusable(f"{path} holds no public key in PEM")
        for block in blocks:
            try:
                key = load_pem_public_key(block.encode("latin-1"))
            except (ValueError, UnsupportedAlgorithm) as error:
                raise KeyUnusable(f"{path} is no public key in PEM: {error}") from None
            if not isinstance(key, Ed25519PublicKey):
                raise KeyUnusable(f"{path} is no Ed25519 key")
            keys[key_id_of(key.public_bytes_raw())] = _verifier(key)
    return keys


def _verifier(key: Ed25519PublicKey) -> Callable[[bytes, bytes], bool]:
    def is_signed(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return is_signed


def _signer_of(key: Ed25519PrivateKey) -> Signer:
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Signer(key_id_of(public.public_bytes_raw()), key.sign, pem)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from None
    if len(raw) > _MAX_KEY_FILE_BYTES:
        raise KeyUnusable(f"{path} is too large to be a key")
    return raw
