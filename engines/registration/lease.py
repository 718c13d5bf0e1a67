"""What an engine says of itself in a registry, and the names of the keys where it stands. Pure.

A lease is renewed well before its time is over; one that is not is gone, by the clock of Redis alone. Everything of one
region carries its name as hash tag, so that one script may touch it all in a cluster too:

    PREFIX:engines:{REGION}:leases   hash    instance -> lease (JSON)
    PREFIX:engines:{REGION}:expiry   zset    instance -> expires_at_ms (Redis's clock)
    PREFIX:engines:{REGION}:version  string  another one after every change
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from policies.routing_facts import CapacityClass

MAX_LEASE_BYTES = 16_384
_MAX_PORT_DIGITS = 5


class MalformedLease(Exception):
    """What stands in the registry is no lease."""


class EngineLease(msgspec.Struct, frozen=True, kw_only=True):
    """One engine process.

    Attributes:
        instance: its own for this life of the process.
        address: what gateways dial, `unix:/path` or `host:port`.
        models: (name, version) of what it has loaded.
        started_at_unix_ms: by its own clock; only to tell the later of two that have one address.
    """

    instance: str
    address: str
    pool: str
    capacity: CapacityClass = CapacityClass.reserved
    zone: str = ""
    accelerator: str = ""
    models: tuple[tuple[str, str], ...] = ()
    started_at_unix_ms: int = 0
    ttl_ms: int
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class LeaseNames:
    """The keys of one region. `prefix` as in gateway.redis_link.settings; no org's keys begin like these."""

    prefix: str
    region: str

    @property
    def leases(self) -> str:
        return f"{self._place}:leases"

    @property
    def expiry(self) -> str:
        return f"{self._place}:expiry"

    @property
    def version(self) -> str:
        return f"{self._place}:version"

    @property
    def _place(self) -> str:
        return f"{self.prefix}:engines:{{{self.region}}}"


def encode_lease(lease: EngineLease) -> bytes:
    """The same bytes for the same lease."""
    return msgspec.json.encode(lease)


def decode_lease(raw: bytes) -> EngineLease:
    """Unknown fields of a later release are passed over. Raises MalformedLease."""
    if len(raw) > MAX_LEASE_BYTES:
        raise MalformedLease(f"larger than {MAX_LEASE_BYTES} bytes")
    try:
        lease = msgspec.json.decode(raw, type=EngineLease)
    except msgspec.DecodeError as error:
        raise MalformedLease(str(error)) from None
    if not is_address(lease.address):
        raise MalformedLease("has no address that can be dialled")
    return lease


def is_address(text: str) -> bool:
    """Whether it is `unix:/path` or `host:port`."""
    if text.startswith("unix:"):
        return len(text) > len("unix:")
    host, colon, port = text.rpartition(":")
    is_number = port.isascii() and port.isdecimal() and len(port) <= _MAX_PORT_DIGITS
    return bool(host and colon) and is_number and int(port) <= 65_535
