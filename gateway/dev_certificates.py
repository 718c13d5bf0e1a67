"""Certificates for development: self-signed, short-lived, taken by browsers by their hash.

Rules that must stay true:
- What `serverCertificateHashes` of browsers asks for: ECDSA P-256 or P-384, at most 14 days, X.509 version 3.
- Files are written whole or not at all, the key before the certificate, and only its owner may read the key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VALID_FOR = timedelta(days=13)
BACK_DATED = timedelta(hours=1)
RENEWED_AT_AGE = timedelta(days=10)
BROWSERS_LONGEST = timedelta(days=14)
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
CERTIFICATE_FILE = "dev-certificate.pem"
KEY_FILE = "dev-certificate-key.pem"
_CURVES_OF_BROWSERS = ("secp256r1", "secp384r1")
_MAX_FILE_BYTES = 65_536
_HOST_NAME = re.compile(r"(?=.{1,253}$)(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*")


class DevCertificateRefused(Exception):
    """It cannot be made, kept or read; the text says why."""


@dataclass(frozen=True, slots=True)
class DevCertificate:
    """A pair of PEM files. Nothing in here is secret but the content of `key_file`.

    Attributes:
        sha256_hex: of the DER: what pages give to `serverCertificateHashes`.
    """

    certificate_file: Path
    key_file: Path
    sha256_hex: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What a certificate says of itself.

    Attributes:
        refused_by_hash: why browsers do not take it by its hash; empty: they do.
    """

    hosts: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    sha256: bytes
    refused_by_hash: tuple[str, ...]


def create_or_renew(directory: Path, *, hosts: Sequence[str] = (), now: datetime | None = None) -> DevCertificate:
    """The pair in this directory; a new one where there is none, or it is old, broken or for other hosts.

    Args:
        hosts: names and addresses beside those of this machine.

    Raises:
        DevCertificateRefused: the directory cannot be written, or a host is neither a name nor an address.
    """
    moment = now or datetime.now(UTC)
    wanted = _all_hosts(hosts)
    kept = _kept(directory, wanted, moment)
    return kept or make(directory, hosts=hosts, now=moment)


def make(directory: Path, *, hosts: Sequence[str] = (), now: datetime | None = None) -> DevCertificate:
    """Write a new pair into the directory, over the one that is there."""
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "patchbay development")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACK_DATED)
        .not_valid_after(moment - BACK_DATED + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in _all_hosts(hosts)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate_file, key_file = directory / CERTIFICATE_FILE, directory / KEY_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write_whole(key_file, key_pem, mode=0o600)
        _write_whole(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    except OSError as error:
        raise DevCertificateRefused(f"{directory} cannot be written: {error.strerror or error}") from None
    return _described(certificate, certificate_file, key_file)


def shown(certificate_file: Path) -> ShownCertificate:
    """
    Raises:
        DevCertificateRefused: the file cannot be read or holds no certificate.
    """
    certificate = _read_certificate(certificate_file)
    return ShownCertificate(
        hosts=_hosts_of(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=certificate.fingerprint(hashes.SHA256()),
        refused_by_hash=tuple(_reasons_against(certificate)),
    )


def _reasons_against(certificate: x509.Certificate) -> list[str]:
    """Measured with Chromium; also what the WebTransport specification asks for."""
    reasons: list[str] = []
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES_OF_BROWSERS:
        reasons.append("its key is not ECDSA on P-256 or P-384")
    if certificate.not_valid_after_utc - certificate.not_valid_before_utc > BROWSERS_LONGEST:
        reasons.append("it is valid for more than 14 days")
    if certificate.version is not x509.Version.v3 or not len(certificate.extensions):
        reasons.append("it has no X.509 extension")
    return reasons


def _kept(directory: Path, wanted: tuple[str, ...], moment: datetime) -> DevCertificate | None:
    certificate_file, key_file = directory / CERTIFICATE_FILE, directory / KEY_FILE
    try:
        certificate = _read_certificate(certificate_file)
        key = serialization.load_pem_private_key(_content(key_file), password=None)
    except (DevCertificateRefused, OSError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    age = moment - certificate.not_valid_before_utc
    if not timedelta(0) <= age < RENEWED_AT_AGE or not set(wanted) <= set(_hosts_of(certificate)):
        return None
    return _described(certificate, certificate_file, key_file)


def _described(certificate: x509.Certificate, certificate_file: Path, key_file: Path) -> DevCertificate:
    der = certificate.public_bytes(serialization.Encoding.DER)
    return DevCertificate(
        certificate_file=certificate_file,
        key_file=key_file,
        sha256_hex=hashlib.sha256(der).hexdigest(),
        not_after=certificate.not_valid_after_utc,
    )


def _read_certificate(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_content(file))
    except OSError as error:
        raise DevCertificateRefused(f"{file} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise DevCertificateRefused(f"{file} holds no certificate in PEM") from None


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_MAX_FILE_BYTES)


def _all_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Without doubles, this machine's first."""
    return tuple(dict.fromkeys((*LOCAL_HOSTS, *(host.strip("[]").lower() for host in hosts))))


def _general_name(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not _HOST_NAME.fullmatch(name):
        raise DevCertificateRefused(f"{host!r} is neither a host name nor an IP address")
    return x509.DNSName(name)


def _hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def _write_whole(file: Path, content: bytes, *, mode: int) -> None:
    """Beside it, then in its place, so that nobody ever reads half of it."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
