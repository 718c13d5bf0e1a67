"""Limits for each client address, before anything of a token is looked at: against floods of handshakes.

An address is one of IPv4, or the first 64 bits of one of IPv6, which is what one subscriber has. Three things are
limited: handshakes, handshakes whose token failed, and connections whose `start` has not come yet. Refusing grows
neither memory nor the log: what was refused is told once a second.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from gateway.admission.address_buckets import AddressBuckets
from gateway.errors import AddressRefused, AuthenticationFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gateway.admission.metrics import AdmissionMetrics
    from gateway.admission.settings import AddressSettings
    from gateway.errors import SessionRefused

log = structlog.get_logger("gateway")

_TOLD_EVERY_US = 1_000_000
_PENDING_RETRY_MS = 1_000
_IPV4_IN_IPV6 = b"\x00" * 10 + b"\xff\xff"
_SUBSCRIBER_BYTES = 8
"""RFC 6177: a site gets a /64 at least, so its last 64 bits name nobody."""


class AddressLimit(StrEnum):
    """What is limited for each address."""

    handshakes = "handshakes"
    failures = "failures"
    pending = "pending"


_WHAT = {
    AddressLimit.handshakes: "connections are opened too fast from this address",
    AddressLimit.failures: "too many wrong tokens come from this address",
    AddressLimit.pending: "too many connections of this address have not sent their `start`",
}


class Visit:
    """One connection until its session begins, or it is turned away: then `leave` it, once."""

    __slots__ = ("_address", "_limits")

    def __init__(self, limits: AddressLimits, address: bytes | None) -> None:
        self._limits = limits
        self._address = address

    def turned_away(self, refusal: SessionRefused) -> None:
        """A token that proves nothing counts against the address."""
        if self._address is not None and isinstance(refusal, AuthenticationFailed):
            self._limits.failed(self._address)

    def __enter__(self) -> Visit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._address is not None:
            self._limits.left(self._address)


class AddressLimits:
    """Those of one process. `now_us` does not go back."""

    def __init__(self, settings: AddressSettings, metrics: AdmissionMetrics, now_us: Callable[[], int]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._now_us = now_us
        secret = secrets.token_bytes(16)
        self._handshakes = AddressBuckets(
            per_minute=settings.handshakes_per_minute,
            burst=settings.handshake_burst,
            max_addresses=settings.max_addresses,
            secret=secret,
        )
        self._failures = AddressBuckets(
            per_minute=settings.failures_per_minute,
            burst=settings.failure_burst,
            max_addresses=settings.max_addresses,
            secret=secret,
        )
        self._pending: Counter[bytes] = Counter()
        self._exempt = [_network(text) for text in settings.exempt_networks]
        self._untold: Counter[AddressLimit] = Counter()
        self._told_at_us: int | None = None
        metrics.addresses.set_function(lambda: float(self.num_addresses))

    def knock(self, address: str) -> Visit:
        """A connection came from here. An address that is no IP address (a UNIX socket's) is not limited.

        Raises:
            AddressRefused: it must go again; nothing else was looked at.
        """
        known = network_part(address)
        if known is None or self._is_exempt(known):
            return Visit(self, None)
        refusal = self._refusal(known)
        if refusal is not None:
            self._note(refusal[0])
            if not self._settings.is_shadow:
                raise self._refused(*refusal)
        self._pending[known] += 1
        return Visit(self, known)

    def failed(self, address: bytes) -> None:
        self._failures.take(address, self._now_us())

    def left(self, address: bytes) -> None:
        self._pending[address] -= 1
        if self._pending[address] <= 0:
            del self._pending[address]

    @property
    def num_addresses(self) -> int:
        """That have a debt, or had one lately."""
        return len(self._handshakes) + len(self._failures)

    def _refusal(self, address: bytes) -> tuple[AddressLimit, int] | None:
        """What refuses a handshake, and for how many microseconds; one that is not refused is taken."""
        now_us = self._now_us()
        wait_us = self._failures.wait_us(address, now_us)
        if wait_us:
            return AddressLimit.failures, wait_us
        if self._pending.get(address, 0) >= self._settings.max_pending:
            return AddressLimit.pending, _PENDING_RETRY_MS * 1_000
        wait_us = self._handshakes.take(address, now_us)
        return (AddressLimit.handshakes, wait_us) if wait_us else None

    def _is_exempt(self, address: bytes) -> bool:
        return any(_lies_in(address, *network) for network in self._exempt)

    def _refused(self, limit: AddressLimit, wait_us: int) -> AddressRefused:
        settings = self._settings
        most, per_minute = {
            AddressLimit.handshakes: (settings.handshake_burst, settings.handshakes_per_minute),
            AddressLimit.failures: (settings.failure_burst, settings.failures_per_minute),
            AddressLimit.pending: (settings.max_pending, None),
        }[limit]
        return AddressRefused(
            _WHAT[limit],
            retry_after_ms=max(1, -(-wait_us // 1_000)),
            limit_name=limit.value,
            limit=most,
            window_s=None if per_minute is None else max(1, -(-most * 60 // per_minute)),
        )

    def _note(self, limit: AddressLimit) -> None:
        """Count; and write one line a second, however many come."""
        self._metrics.address_refusals.labels(limit.value, str(self._settings.is_shadow).lower()).inc()
        self._untold[limit] += 1
        now_us = self._now_us()
        if self._told_at_us is not None and now_us - self._told_at_us < _TOLD_EVERY_US:
            return
        self._told_at_us = now_us
        for name, times in self._untold.items():
            if self._settings.is_shadow:
                log.info("limit.would_refuse", level="address", limit=name.value, times=times)
            else:
                log.warning("address.limited", limit=name.value, times=times)
        self._untold.clear()


def network_part(address: str) -> bytes | None:
    """4 bytes for IPv4, also where it is written as IPv6 (RFC 4291 §2.5.5.2); 8 for IPv6; None for anything else."""
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        whole = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return None
    return whole[12:] if whole.startswith(_IPV4_IN_IPV6) else whole[:_SUBSCRIBER_BYTES]


def _network(text: str) -> tuple[bytes, int]:
    """The first bytes of a network, and how many bits of them count."""
    network = ipaddress.ip_network(text)
    packed = network.network_address.packed
    if network.version == 6 and packed.startswith(_IPV4_IN_IPV6) and network.prefixlen >= 96:
        return packed[12:], network.prefixlen - 96
    if network.version == 6:
        return packed[:_SUBSCRIBER_BYTES], min(network.prefixlen, 8 * _SUBSCRIBER_BYTES)
    return packed, network.prefixlen


def _lies_in(address: bytes, network: bytes, bits: int) -> bool:
    if len(address) != len(network):
        return False
    shift = 8 * len(address) - bits
    return int.from_bytes(address, "big") >> shift == int.from_bytes(network, "big") >> shift
