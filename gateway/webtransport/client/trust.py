"""Which server a client takes for the one that it means: by certification authorities, or by a certificate's hash.

A hash is checked as browsers check `serverCertificateHashes`: the key is ECDSA on P-256, the certificate is valid for
at most 14 days, and valid now. Neither its name nor who signed it matters then.

Source: https://w3c.github.io/webtransport/#certificate-hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.webtransport.client.errors import NotTrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioquic.quic.configuration import QuicConfiguration
    from cryptography.x509 import Certificate

LONGEST_VALIDITY = timedelta(days=14)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """Any certificate whose DER has one of these SHA-256: hexadecimal, colons between the bytes allowed."""

    sha256: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError: something is no hash."""
        plain = tuple(each.replace(":", "").lower() for each in self.sha256)
        if not plain or any(_SHA256.fullmatch(each) is None for each in plain):
            raise ValueError("the hash of a certificate is 64 hexadecimal digits: SHA-256 of its DER")
        object.__setattr__(self, "sha256", plain)

    @classmethod
    def of(cls, *sha256: str) -> CertificateHash:
        return cls(sha256)

    def check(self, certificate: Certificate, now: datetime) -> None:
        """Raises NotTrusted: it is none of those that are meant, or none that may be taken by its hash."""
        found = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        if not any(hmac.compare_digest(found, each) for each in self.sha256):
            raise NotTrusted("the server's certificate has another hash than the one that was given")
        public_key = certificate.public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
            raise NotTrusted("a certificate that is known by its hash must have an ECDSA key on P-256")
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if until - since > LONGEST_VALIDITY:
            raise NotTrusted("a certificate that is known by its hash may be valid for 14 days at most")
        if not since <= now <= until:
            raise NotTrusted("the server's certificate is not valid yet, or no longer")


@dataclass(frozen=True, slots=True)
class CaFile:
    """Certificates that one of these authorities signed, for the name of the host. A file in PEM."""

    path: Path


Trust = CertificateHash | CaFile
"""None stands for the authorities that this system knows."""


def configure(configuration: QuicConfiguration, trust: Trust | None) -> None:
    """Raises NotTrusted: there are no authorities in the file, or it cannot be read."""
    match trust:
        case CertificateHash():
            configuration.verify_mode = ssl.CERT_NONE
        case CaFile(path):
            check_authorities(path)
            configuration.load_verify_locations(cafile=str(path))
        case None:
            known = ssl.get_default_verify_paths()
            if known.cafile or known.capath:
                configuration.load_verify_locations(cafile=known.cafile, capath=known.capath)


def check_authorities(path: Path) -> None:
    """Raises NotTrusted, before anybody is asked: TLS would find out in the middle of the handshake."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise NotTrusted(f"{path} holds no certificates in PEM") from None
    except OSError as error:
        raise NotTrusted(f"{path} cannot be read: {error.strerror}") from None


def check(trust: Trust | None, certificates: Sequence[Certificate]) -> None:
    """What the handshake did not check. Raises NotTrusted.

    Args:
        certificates: the server's own first; that it has the key was proven.
    """
    if not isinstance(trust, CertificateHash):
        return
    if not certificates:
        raise NotTrusted("the server showed no certificate")
    trust.check(certificates[0], datetime.now(UTC))
