"""Who vouches in a lab: a certificate authority for the regions' gateways, and an issuer of callers' tokens.

Made anew for every lab; nothing outside of it trusts them. Where its gateways serve WebTransport they have certificates
that nobody vouches for, which clients know by their hashes.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "patchbay-lab"
AUDIENCE = "patchbay"
_KID = "lab"
_TOKEN_TTL_S = 6 * 3_600
_CLOCK_SLACK = datetime.timedelta(minutes=5)
_SOUND_FOR = datetime.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files; `ca_file` is the lab's authority."""

    certificate_file: Path
    key_file: Path
    ca_file: Path

    def as_settings(self) -> dict[str, str]:
        return {
            "certificate_file": str(self.certificate_file),
            "key_file": str(self.key_file),
            "ca_file": str(self.ca_file),
        }


class CertificateAuthority:
    """Issues certificates whose DNS name is a region's name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name_of("patchbay lab")
        now = datetime.datetime.now(datetime.UTC)
        self._certificate = (
            _builder(self._name, self._name, self._key, now - _CLOCK_SLACK, now + _SOUND_FOR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def files(self, region: str) -> CertificateFiles:
        return CertificateFiles(
            self._folder / f"{region}.crt.pem", self._folder / f"{region}.key.pem", self._folder / "ca.pem"
        )

    def issue(self, region: str, *, valid_for_s: float | None = None) -> CertificateFiles:
        """A new pair in the region's files, in the place of what is there; `valid_for_s` may be short, or past."""
        now = datetime.datetime.now(datetime.UTC)
        ends = now + (_SOUND_FOR if valid_for_s is None else datetime.timedelta(seconds=valid_for_s))
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name_of(region), self._name, key, now - _CLOCK_SLACK, ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(region)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = self.files(region)
        _replace(files.key_file, _pem(key))
        _replace(files.certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
        return files


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A self-signed pair of PEM files, as browsers take it by its hash: ECDSA on P-256, valid for two days.

    `sha256`: of the certificate's DER, in hexadecimal.
    """

    certificate_file: Path
    key_file: Path
    sha256: str


def self_signed(folder: Path, name: str, address: str) -> OwnCertificate:
    """A new pair in the folder, for what serves at an IP address."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    named = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]
    certificate = (
        _builder(_name_of(name), _name_of(name), key, now - _CLOCK_SLACK, now + _SOUND_FOR)
        .add_extension(x509.SubjectAlternativeName(named), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt.pem", folder / f"{name}.key.pem"
    _replace(files[1], _pem(key))
    _replace(files[0], certificate.public_bytes(serialization.Encoding.PEM))
    return OwnCertificate(*files, certificate.fingerprint(hashes.SHA256()).hex())


class TokenIssuer:
    """Mints callers' tokens with a key of its own."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def as_settings(self) -> dict[str, Any]:
        """One of a gateway's `tokens.issuers`."""
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        public = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": public, "kid": _KID, "use": "sig", "alg": "EdDSA"}
        return {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["EdDSA"], "static_keys": [jwk]}

    def mint(self, *, subject: str, residency: str = "", plan: str = "", scope: str = "speech:stream") -> str:
        """For the tenant `lab`. Good from an hour ago, so that a clock that was set back still takes it."""
        now_s = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "tenant": "lab",
            "scope": scope,
            "iat": now_s - 3_600,
            "nbf": now_s - 3_600,
            "exp": now_s + _TOKEN_TTL_S,
        }
        if residency:
            claims["residency"] = residency
        if plan:
            claims["plan"] = plan
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": _KID})


def _name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime.datetime,
    ends: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _replace(path: Path, content: bytes) -> None:
    """Whole or not at all, and for its owner alone."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
