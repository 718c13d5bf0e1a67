"""A certificate authority of a test, and certificates of regions: the DNS name is the region's."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from regions.links.certificates import TlsFiles

if TYPE_CHECKING:
    from pathlib import Path

_POLL_MS = 20


class Authority:
    """Signs what it is asked to, and writes it into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        certificate = self._builder(self._name, self._key, valid_for_s=86_400).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        (folder / "ca.pem").write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def files(self, region: str, *, ca: Authority | None = None) -> TlsFiles:
        """Where the region's files are; `ca`: whom it trusts, if not the one that signs for it."""
        return TlsFiles(
            certificate_file=self._folder / f"{region}.crt",
            key_file=self._folder / f"{region}.key",
            ca_file=(ca or self)._folder / "ca.pem",
            poll_ms=_POLL_MS,
        )

    def issue(self, region: str, *, valid_for_s: float = 3_600, ca: Authority | None = None) -> TlsFiles:
        """A new pair, key first as a careless operator would; `valid_for_s` below 0: expired."""
        key, certificate = self.made(region, valid_for_s=valid_for_s)
        files = self.files(region, ca=ca)
        files.key_file.write_bytes(key)
        files.certificate_file.write_bytes(certificate)
        return files

    def made(self, region: str, *, valid_for_s: float = 3_600) -> tuple[bytes, bytes]:
        """(key, certificate)"""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(x509.Name([]), key, valid_for_s=valid_for_s)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(region)]), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem, certificate.public_bytes(Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, valid_for_s: float
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(seconds=valid_for_s))
        )
