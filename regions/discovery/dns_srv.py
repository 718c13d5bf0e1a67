"""Engines that are the targets of a SRV name (RFC 2782)."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.name
from dns.nameserver import Do53Nameserver
from dns.rdatatype import SRV

from regions.discovery.interface import EngineAddress
from regions.discovery.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.discovery.metrics import DiscoveryMetrics
    from regions.discovery.settings import DnsSrvDiscovery

_DNS_PORT = 53


class _Answer(NamedTuple):
    engines: tuple[EngineAddress, ...]
    ttl_ms: int


class DnsSrvNames:
    """A Discovery. The names of the targets are left to gRPC, which resolves them whenever it connects.

    A name without records, or with none that names a target, takes nothing away: a resolver that lost its zone says
    the same, and all engines at once is what is least likely to be meant.
    """

    keeps_connected = False

    def __init__(self, settings: DnsSrvDiscovery, *, metrics: DiscoveryMetrics) -> None:
        self._settings = settings
        self._teller = Teller(settings.kind, metrics)

    async def run(self, on_change: Callable[[tuple[EngineAddress, ...]], None]) -> None:
        settings = self._settings
        while True:
            wait_ms = settings.min_ttl_ms
            try:
                answer = await self._ask()
            except (dns.exception.DNSException, OSError) as error:
                self._teller.failed(type(error).__name__)
            else:
                if answer.engines:
                    self._teller.tell(answer.engines, on_change)
                else:
                    self._teller.failed("no targets")
                wait_ms = min(max(answer.ttl_ms, settings.min_ttl_ms), settings.max_ttl_ms)
            # Gateways that started together need not ask together.
            await asyncio.sleep(wait_ms * random.uniform(1.0, 1.1) / 1_000)

    async def _ask(self) -> _Answer:
        settings = self._settings
        # Made anew each time: the machine's resolvers may be others by now.
        resolver = dns.asyncresolver.Resolver(configure=not settings.resolvers)
        if settings.resolvers:
            resolver.nameservers = [nameserver_at(resolver_at) for resolver_at in settings.resolvers]
        answer = await resolver.resolve(dns.name.from_text(settings.name), SRV, lifetime=settings.timeout_ms / 1_000)
        engines = tuple(
            EngineAddress(
                address=f"{record.target.to_text(omit_final_dot=True)}:{record.port}",
                priority=record.priority,
                weight=record.weight,
            )
            for record in answer
            if record.target != dns.name.root
        )
        ttl_s = answer.rrset.ttl if answer.rrset is not None else 0
        return _Answer(engines, ttl_s * 1_000)


def nameserver_at(resolver_at: str) -> Do53Nameserver:
    """`address`, `address:port` or the same with an IPv6 address in brackets."""
    if resolver_at.startswith("["):
        host, _, port = resolver_at.removeprefix("[").partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = resolver_at.partition(":")
    return Do53Nameserver(host, int(port or _DNS_PORT))
