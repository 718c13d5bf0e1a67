"""The certificate of the edge: read and checked at start, and again whenever its files change.

Rules that must stay true:
- A pair that is broken, half written, past its time or before it is refused and told; the one before stays.
- Connections that exist go on with what they began with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Never

log = structlog.get_logger("gateway")

DEFAULT_POLL_MS = 5_000
_MAX_FILE_BYTES = 1_048_576

_CURVES = (ec.SECP256R1, ec.SECP384R1)
"""Those with which aioquic signs."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class CertificateRejected(Exception):
    """The pair cannot be used; the text is for the operator and holds nothing of the key."""


class CertificateTooEarly(CertificateRejected):
    """It can be used later, without another change of its files."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """
    Attributes:
        chain: the server's own certificate first.
    """

    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKey

    @property
    def sha256_hex(self) -> str:
        """Of the DER of the server's own certificate, as browsers take it in `serverCertificateHashes`."""
        return self.chain[0].fingerprint(hashes.SHA256()).hex()


class ReloadWatcher(Protocol):
    """Who counts what came of changed files."""

    def certificate_reloaded(self, *, is_taken: bool) -> None: ...


class Certificate:
    """The pair in use. Raises CertificateRejected where the files hold none at start."""

    def __init__(self, certificate_file: Path, key_file: Path, *, watcher: ReloadWatcher | None = None) -> None:
        self._files = (certificate_file, key_file)
        self._watcher = watcher
        self._told: object = None
        self._seen = _state_of(self._files)
        self.pair = read_pair(certificate_file, key_file)

    @property
    def sha256_hex(self) -> str:
        return self.pair.sha256_hex

    def reload_if_changed(self) -> bool:
        """Read the files again where they are others than before. True: another certificate is in use now."""
        seen = _state_of(self._files)
        if seen == self._seen:
            return False
        try:
            pair = read_pair(*self._files)
        except CertificateRejected as rejected:
            # A pair that is only half written yet changes again; the same broken one is told once.
            if not isinstance(rejected, CertificateTooEarly):
                self._seen = seen
            if seen == self._told:
                return False
            self._told = seen
            log.warning("quic.certificate_refused", detail=str(rejected))
            if self._watcher is not None:
                self._watcher.certificate_reloaded(is_taken=False)
            return False
        self._seen = seen
        if pair.chain == self.pair.chain:
            return False
        self.pair = pair
        log.info(
            "quic.certificate_reloaded", sha256=pair.sha256_hex, not_after=pair.chain[0].not_valid_after_utc.isoformat()
        )
        if self._watcher is not None:
            self._watcher.certificate_reloaded(is_taken=True)
        return True

    async def follow(self, *, poll_ms: int = DEFAULT_POLL_MS) -> Never:
        """Look at the files for ever; a task of its own."""
        while True:
            await asyncio.sleep(poll_ms / 1000)
            self.reload_if_changed()


def read_pair(certificate_file: Path, key_file: Path) -> CertificatePair:
    """The certificates of one PEM file and the key of another, checked against each other and against today.

    Raises:
        CertificateRejected: see its text.
    """
    try:
        chain = tuple(x509.load_pem_x509_certificates(_content(certificate_file)))
        public_key = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRejected(f"{certificate_file} holds no certificates in PEM: {error}") from None
    try:
        private_key = serialization.load_pem_private_key(_content(key_file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateRejected(f"{key_file} holds no private key in PEM that needs no password: {error}") from None
    if not isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise CertificateRejected(f"{key_file} is of a kind that TLS 1.3 does not sign with")
    if isinstance(private_key, ec.EllipticCurvePrivateKey) and not isinstance(private_key.curve, _CURVES):
        raise CertificateRejected(f"{key_file} is on the curve {private_key.curve.name}; P-256 and P-384 can be used")
    if _public_bytes(private_key.public_key()) != _public_bytes(public_key):
        raise CertificateRejected(f"{key_file} is not the key of the first certificate of {certificate_file}")
    now = datetime.now(UTC)
    if chain[0].not_valid_before_utc > now:
        raise CertificateTooEarly(
            f"{certificate_file} is valid only from {chain[0].not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        )
    if chain[0].not_valid_after_utc <= now:
        raise CertificateRejected(
            f"{certificate_file} was valid until {chain[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
    return CertificatePair(chain, private_key)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise CertificateRejected(f"{file} cannot be read: {error.strerror or error}") from None


def _public_bytes(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _state_of(files: tuple[Path, ...]) -> tuple[tuple[int, int, int] | None, ...]:
    """Inode, size and time of change of each; None: not there."""
    states: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            states.append(None)
        else:
            states.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(states)
