"""This process's certificate, its key and whom it trusts, read from files and read again when they change.

A certificate's DNS name (subjectAltName) is the name of its region: links check that of the relay they dial, relays
that of the gateway that dials. All gateways of a region may share a certificate, or have one each.

These must stay true:
  - What is in force is a pair: the key is the certificate's. Half of a new pair changes nothing.
  - Established links stay when the files change; new ones use what is in force.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import Counter, Gauge
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_MAX_FILE_BYTES = 1_048_576

log = structlog.get_logger("links")


class TlsFiles(BaseModel, frozen=True, extra="forbid"):
    """PEM files. `certificate_file`: ours and those between it and the CA; `ca_file`: who may have signed a peer's."""

    certificate_file: Path
    key_file: Path
    ca_file: Path
    poll_ms: int = Field(default=1_000, ge=20, le=3_600_000)
    """How often the files are looked at."""


class CertificatesUnusable(Exception):
    """The files cannot be used together; the message says why, a line for each mistake."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """What is in force. `expires_at_unix_s`: of the certificate itself. `digest`: of all three files."""

    certificate_pem: bytes
    key_pem: bytes
    ca_pem: bytes
    expires_at_unix_s: float
    digest: str

    @property
    def is_expired(self) -> bool:
        return time.time() >= self.expires_at_unix_s


class CertificateMetrics:
    """Registers in the given registry, once; `use` tells the relay's certificate from that of the links."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.expires = Gauge(
            "patchbay_link_certificate_expires_seconds",
            "When the certificate in force expires, in Unix time",
            ["use"],
            registry=registry,
        )
        self.reads = Counter(
            "patchbay_link_certificate_reads",
            "Changed certificate files, by what became of them",
            ["use", "outcome"],
            registry=registry,
        )
        self.untrusted = Counter(
            "patchbay_link_untrusted",
            "Attempts to dial a peer region that ended because one side's certificate was not accepted",
            ["region"],
            registry=registry,
        )


class Certificates:
    """One set of files, for all links and the relay of a process.

    Args:
        use: `links` or `relay`, in metrics and logs.

    Raises:
        CertificatesUnusable: what is there now cannot be used.
    """

    def __init__(self, files: TlsFiles, *, use: str = "links", metrics: CertificateMetrics | None = None) -> None:
        self._files = files
        self._use = use
        self.metrics = metrics
        self._seen = _state_of(files)
        self._changed = asyncio.Event()
        self._current = read_pair(files)
        self._note_expiry()

    @property
    def current(self) -> CertificatePair:
        return self._current

    async def until_other_than(self, digest: str) -> None:
        """Return when something else than this is in force."""
        while self._current.digest == digest:
            await self._changed.wait()

    async def run(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.sleep(self._files.poll_ms / 1_000)
            await asyncio.to_thread(self._look, asyncio.get_running_loop())

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread: a disk may take its time."""
        state = _state_of(self._files)
        if state == self._seen:
            return
        self._seen = state
        try:
            pair = read_pair(self._files)
            if pair.is_expired and not self._current.is_expired:
                raise CertificatesUnusable("the new certificate has expired")
        except CertificatesUnusable as error:
            log.warning("certificates.unusable", use=self._use, mistakes=str(error).splitlines())
            self._count("unusable")
            return
        if pair.digest != self._current.digest:
            loop.call_soon_threadsafe(self._take, pair)

    def _take(self, pair: CertificatePair) -> None:
        self._current = pair
        self._note_expiry()
        self._count("taken")
        log.info("certificates.renewed", use=self._use, expires_at_unix_s=int(pair.expires_at_unix_s))
        self._changed.set()
        self._changed = asyncio.Event()

    def _count(self, outcome: str) -> None:
        if self.metrics is not None:
            self.metrics.reads.labels(self._use, outcome).inc()

    def _note_expiry(self) -> None:
        if self.metrics is not None:
            self.metrics.expires.labels(self._use).set(self._current.expires_at_unix_s)


@dataclass(frozen=True, slots=True)
class LinkTls:
    """How one link proves who it is. `server_name`: the region that must be at the other end."""

    certificates: Certificates
    server_name: str


def read_pair(files: TlsFiles) -> CertificatePair:
    """Read the files and hold them against each other. An expired certificate is read: peers will not take it.

    Raises:
        CertificatesUnusable: with a line for each mistake.
    """
    mistakes: list[str] = []
    certificate_pem, key_pem, ca_pem = (
        _read(path, mistakes) for path in (files.certificate_file, files.key_file, files.ca_file)
    )
    certificates = _certificates(certificate_pem, files.certificate_file, mistakes)
    _certificates(ca_pem, files.ca_file, mistakes)
    if key_pem and certificates:
        try:
            key = load_pem_private_key(key_pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            mistakes.append(f"{files.key_file}: not a PEM private key without a password")
        else:
            public_key = _public_key(certificates[0], files.certificate_file, mistakes)
            if public_key is not None and key.public_key() != public_key:
                mistakes.append(f"{files.key_file}: not the key of {files.certificate_file}")
    if mistakes:
        raise CertificatesUnusable("\n".join(mistakes))
    return CertificatePair(
        certificate_pem=certificate_pem,
        key_pem=key_pem,
        ca_pem=ca_pem,
        expires_at_unix_s=certificates[0].not_valid_after_utc.timestamp(),
        digest=hashlib.sha256(b"\0".join((certificate_pem, key_pem, ca_pem))).hexdigest(),
    )


def _read(path: Path, mistakes: list[str]) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        mistakes.append(f"{path}: {error.strerror}")
        return b""


def _certificates(pem: bytes, path: Path, mistakes: list[str]) -> list[x509.Certificate]:
    if not pem:
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        mistakes.append(f"{path}: no PEM certificate")
        return []


def _public_key(certificate: x509.Certificate, path: Path, mistakes: list[str]) -> object | None:
    """None, and a mistake, for a key that cannot be read."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        mistakes.append(f"{path}: a key of a kind that is not known")
        return None


def _state_of(files: TlsFiles) -> tuple[tuple[int, int, int] | None, ...]:
    """Changes whenever a file may have changed."""
    return tuple(_stat(path) for path in (files.certificate_file, files.key_file, files.ca_file))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
