"""Detached signatures of a bundle: who approved exactly these bytes.

A signature is Ed25519 (RFC 8032) over the fixed line "patchbay policy bundle v1", a line feed, the bundle's digest in
hexadecimal and a line feed. It lies in `signatures/NAME.sig` as one line of base64, and is no part of the digest, so
that approvers sign one after the other. Anybody can check it with the public key and OpenSSL: docs/residency.md says
how.

These must stay true:
  - Only approvers of the settings count, each by the key that the settings give him.
  - One who signs twice, or two names with one key, count once.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "signatures"
_PREFIX = b"patchbay policy bundle v1\n"
_MAX_SIGNATURE_BYTES = 200


class KeyRefused(Exception):
    """A file holds no Ed25519 key that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Who approved. `by`: names of approvers with a good signature, sorted, each key once. `problems`: sentences about
    signatures that do not count.
    """

    by: tuple[str, ...]
    problems: tuple[str, ...]


def path_of(name: str) -> str:
    """Of an approver's signature, in the bundle."""
    return f"{FOLDER}/{name}.sig"


def signed_bytes(digest: str) -> bytes:
    """What is signed. `digest`: of policies.residency.bundles.bundle.files_digest."""
    return _PREFIX + digest.encode() + b"\n"


def sign(digest: str, key: Ed25519PrivateKey) -> bytes:
    """The content of a signature's file."""
    return base64.b64encode(key.sign(signed_bytes(digest))) + b"\n"


def verified_by(files: Mapping[str, bytes], digest: str, approvers: Mapping[str, Ed25519PublicKey]) -> Signed:
    """Which of the approvers signed a bundle with this digest. `files`: as gateway.residency.bundle_folder reads
    them.
    """
    by: dict[bytes, str] = {}
    problems: list[str] = []
    for path in sorted(path for path in files if path.startswith(f"{FOLDER}/")):
        name = path.removeprefix(f"{FOLDER}/").removesuffix(".sig")
        key = approvers.get(name)
        if path != path_of(name) or key is None:
            problems.append(f"{path}: not of an approver of these settings")
        elif not _is_good(files[path], digest, key):
            problems.append(f"{path}: not the signature of {name} under these bytes: changed since, or another key")
        elif (raw := key.public_bytes(Encoding.Raw, PublicFormat.Raw)) in by:
            problems.append(f"{path}: {name} has the key of {by[raw]}; one key counts once")
        else:
            by[raw] = name
    return Signed(tuple(sorted(by.values())), tuple(problems))


def _is_good(content: bytes, digest: str, key: Ed25519PublicKey) -> bool:
    if len(content) > _MAX_SIGNATURE_BYTES:
        return False
    try:
        key.verify(base64.b64decode(content.strip(), validate=True), signed_bytes(digest))
    except (binascii.Error, InvalidSignature):
        return False
    return True


def new_key() -> tuple[bytes, bytes]:
    """Private and public key, each as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_key_of(pem: bytes) -> Ed25519PrivateKey:
    """Raises KeyRefused."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise KeyRefused("no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused("not an Ed25519 key")
    return key


def public_key_of(pem: bytes) -> Ed25519PublicKey:
    """Raises KeyRefused."""
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        raise KeyRefused("no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyRefused("not an Ed25519 key")
    return key
