from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.decision_log.signing import KeyUnusable, create_signing_key, load_public_keys, load_signer


def test_a_pair_is_made_once_and_its_private_half_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = create_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "key.pem.pub").read_bytes() == made.public_pem
    loaded = load_signer(path)
    assert (loaded.key_id, loaded.public_pem) == (made.key_id, made.public_pem)
    with pytest.raises(FileExistsError):
        create_signing_key(path)


def test_a_signature_is_good_for_its_message_and_its_key_alone(tmp_path: Path) -> None:
    signer = create_signing_key(tmp_path / "one")
    other = create_signing_key(tmp_path / "two")
    both = tmp_path / "both.pub"
    both.write_bytes(signer.public_pem + other.public_pem)
    keys = load_public_keys([both])
    assert set(keys) == {signer.key_id, other.key_id}
    signature = signer.sign(b"message")
    assert keys[signer.key_id](b"message", signature)
    assert not keys[signer.key_id](b"another", signature)
    assert not keys[other.key_id](b"message", signature)
    assert not keys[signer.key_id](b"message", b"short")


def test_what_is_no_such_key_is_refused_with_its_name(tmp_path: Path) -> None:
    rsa = generate_private_key(65_537, 2_048)
    private, public, text = tmp_path / "rsa", tmp_path / "rsa.pub", tmp_path / "text"
    private.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    text.write_text("-----BEGIN PUBLIC KEY-----\nnothing\n-----END PUBLIC KEY-----\n")
    large = tmp_path / "large"
    large.write_bytes(b"x" * 70_000)
    for path in (private, text, large, tmp_path / "missing"):
        with pytest.raises(KeyUnusable, match=path.name):
            load_signer(path)
    for path in (public, text, private, tmp_path / "missing"):
        with pytest.raises(KeyUnusable, match=path.name):
            load_public_keys([path])
