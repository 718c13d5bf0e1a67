"""Checks the placement grants that come with streams: for an engine on its own machine, and for a relay.

These must stay true:
  - Where it is asked, a stream without a good grant is not opened: nothing that cannot be read, no key that cannot be
    found, and no error on the way lets one through.
  - Keys that were taken out of the folder stop to count within `_LOOK_EVERY_S`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from policies.residency.grant import LEEWAY_S, parse, refusal_of, signed_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engines.interface import OpenStream
    from policies.residency.grant import PlacementGrant, SignedGrant
    from policies.routing_facts import CapacityClass

_LOOK_EVERY_S = 1.0

log = structlog.get_logger("grants")


class GrantChecker:
    """One a process. Nothing here waits for anything but the disk, once a second at most.

    Args:
        directory: public keys in PEM, `REGION.pem` for gateways of each region; `REGION.*.pem` are more of them, so
            that a key can be changed.
        region: this one.
        capacity: of this machine; None: not asked about, as a relay's, or not known.
        is_relay: it passes streams on to machines that are asked themselves.
        now_s: Unix seconds, now.
    """

    def __init__(
        self,
        directory: Path,
        *,
        region: str,
        capacity: CapacityClass | None = None,
        is_relay: bool = False,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self.region = region
        self._capacity = capacity
        self._is_relay = is_relay
        self._now_s = now_s
        self._keys: dict[str, Ed25519PublicKey] = {}
        """By file."""
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._looked_at_s = -_LOOK_EVERY_S
        self._look()

    @property
    def issuers(self) -> frozenset[str]:
        """Regions whose key is here."""
        return frozenset(map(_region_of, self._keys))

    def check(self, opened: OpenStream, *, issuer: str | None = None) -> PlacementGrant | str:
        """The grant that permits this stream here; else why none does, in a word for logs and metrics.

        Args:
            issuer: the region whose gateway asks, as it proved; None: it did not prove any, the grant's is believed.
        """
        if not opened.grant:
            return "missing"
        signed = parse(opened.grant)
        if signed is None:
            return "malformed"
        grant = signed.grant
        if issuer is not None and grant.issuer != issuer:
            return "other_issuer"
        self._look()
        keys = [key for file, key in self._keys.items() if _region_of(file) == grant.issuer]
        if not keys:
            return "unknown_issuer"
        if not any(_is_signed_by(key, signed) for key in keys):
            return "forged"
        classes = grant.classes_in(self.region, goes_on=opened.is_replay)
        refusal = refusal_of(
            grant,
            region=self.region,
            capacity=next(iter(classes), None) if self._is_relay else self._capacity,
            session_id=opened.session_id,
            goes_on=opened.is_replay,
            now_s=self._now_s(),
            leeway_s=LEEWAY_S,
        )
        return grant if refusal is None else refusal

    def refusal_of(self, opened: OpenStream) -> str | None:
        """Why the stream is not permitted here; None: it is."""
        checked = self.check(opened)
        return checked if isinstance(checked, str) else None

    def _look(self) -> None:
        """Read what changed in the folder. A folder that cannot be read has no keys."""
        now_s = time.monotonic()
        if now_s - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        try:
            files = {path.name: path for path in self._directory.glob("*.pem") if not path.name.startswith(".")}
        except OSError:
            files = {}
        seen = {name: stamp for name, path in files.items() if (stamp := _stamp(path)) is not None}
        if seen == self._seen:
            return
        self._keys = {
            name: key
            for name, stamp in seen.items()
            if (key := self._keys.get(name) if stamp == self._seen.get(name) else _read(files[name])) is not None
        }
        self._seen = seen
        log.info("grant_keys.loaded", issuers=sorted(self.issuers))


def _region_of(file: str) -> str:
    return file.partition(".")[0]


def _is_signed_by(key: Ed25519PublicKey, signed: SignedGrant) -> bool:
    try:
        key.verify(signed.signature, signed_bytes(signed.payload))
    except InvalidSignature:
        return False
    return True


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """None: it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> Ed25519PublicKey | None:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        log.error("grant_key.unusable", file=path.name, error=type(error).__name__)
        return None
    if not isinstance(key, Ed25519PublicKey):
        log.error("grant_key.unusable", file=path.name, error="not Ed25519")
        return None
    return key
