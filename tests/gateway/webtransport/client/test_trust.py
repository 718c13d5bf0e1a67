"""A certificate's hash is taken as browsers take it, and no wider."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.webtransport.client.errors import CannotConnect, NotTrusted
from gateway.webtransport.client.trust import CaFile, CertificateHash, check, configure

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import Certificate

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 27, tzinfo=UTC)
P256 = ec.generate_private_key(ec.SECP256R1())


def made(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = P256,
    *,
    since: datetime = NOW - timedelta(days=1),
    days: float = 14,
) -> Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )


def hash_of(certificate: Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def test_a_short_lived_certificate_is_known_by_its_hash() -> None:
    certificate = made()
    CertificateHash.of(hash_of(certificate)).check(certificate, NOW)
    CertificateHash.of("ab" * 32, hash_of(certificate)).check(certificate, NOW)
    with_colons = ":".join(hash_of(certificate)[at : at + 2] for at in range(0, 64, 2)).upper()
    CertificateHash.of(with_colons).check(certificate, NOW)


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (made(days=14.1), "14 days"),
        (made(since=NOW + timedelta(hours=1)), "not valid yet"),
        (made(since=NOW - timedelta(days=15)), "no longer"),
        (made(rsa.generate_private_key(65_537, 2_048)), "ECDSA"),
        (made(ec.generate_private_key(ec.SECP384R1())), "P-256"),
    ],
    ids=["too long", "not yet", "expired", "rsa", "other curve"],
)
def test_others_are_not_though_their_hash_is_right(certificate: Certificate, why: str) -> None:
    with pytest.raises(NotTrusted, match=why):
        CertificateHash.of(hash_of(certificate)).check(certificate, NOW)


def test_another_certificate_is_not_trusted_nor_is_none() -> None:
    with pytest.raises(NotTrusted, match="another hash"):
        CertificateHash.of("ab" * 32).check(made(), NOW)
    with pytest.raises(NotTrusted, match="no certificate"):
        check(CertificateHash.of("ab" * 32), [])


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 33])
def test_what_is_no_hash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        CertificateHash.of(text)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        CertificateHash(())


def test_authorities_are_the_handshake_s_to_check(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(made().public_bytes(Encoding.PEM))
    by_file, by_hash, by_system = QuicConfiguration(), QuicConfiguration(), QuicConfiguration()
    configure(by_file, CaFile(file))
    configure(by_hash, CertificateHash.of("ab" * 32))
    configure(by_system, None)
    assert (by_file.cafile, by_file.verify_mode) == (str(file), None)
    assert by_hash.verify_mode == ssl.CERT_NONE
    assert by_system.verify_mode is None
    check(CaFile(file), [])
    check(None, [])
    with pytest.raises(CannotConnect, match="cannot be read"):
        configure(QuicConfiguration(), CaFile(tmp_path / "none"))
