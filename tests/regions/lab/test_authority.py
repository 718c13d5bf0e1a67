"""Certificates and tokens of a lab."""

from __future__ import annotations

import datetime
import ipaddress
import stat
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from regions.lab.authority import AUDIENCE, ISSUER, CertificateAuthority, TokenIssuer, self_signed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_certificate_names_its_region_and_is_vouched_for(tmp_path: Path) -> None:
    files = CertificateAuthority(tmp_path).issue("west")
    certificate = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
    authority = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["west"]
    assert stat.S_IMODE(files.key_file.stat().st_mode) == 0o600
    assert set(files.as_settings()) == {"certificate_file", "key_file", "ca_file"}


def test_a_certificate_can_be_swapped_for_one_that_expires_at_once(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    first = authority.issue("west").certificate_file.read_bytes()
    files = authority.issue("west", valid_for_s=-1)
    certificate = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
    assert files.certificate_file.read_bytes() != first
    assert certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC)


def test_a_certificate_of_its_own_is_one_that_browsers_take_by_its_hash(tmp_path: Path) -> None:
    made = self_signed(tmp_path, "webtransport", "127.0.10.2")
    certificate = x509.load_pem_x509_certificate(made.certificate_file.read_bytes())
    assert certificate.fingerprint(hashes.SHA256()).hex() == made.sha256
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < datetime.timedelta(days=14)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.10.2")]
    assert stat.S_IMODE(made.key_file.stat().st_mode) == 0o600


def test_a_token_is_signed_by_the_key_that_gateways_are_given() -> None:
    issuer = TokenIssuer()
    settings = issuer.as_settings()
    key = jwt.PyJWK(settings["static_keys"][0])
    claims = jwt.decode(
        issuer.mint(subject="caller-1", residency="inner"), key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER
    )
    assert (claims["sub"], claims["tenant"], claims["residency"]) == ("caller-1", "lab", "inner")
    assert "residency" not in jwt.decode(issuer.mint(subject="x"), key, algorithms=["EdDSA"], audience=AUDIENCE)
