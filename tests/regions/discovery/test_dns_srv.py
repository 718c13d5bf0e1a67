"""Promises of discovery by DNS, against a small real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dns.rcode
import pytest

from regions.discovery.dns_srv import DnsSrvNames, nameserver_at
from regions.discovery.interface import EngineAddress
from regions.discovery.settings import DnsSrvDiscovery
from tests.harness.dns_server import NAME, DnsServer, running_dns_server
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry

    from regions.discovery.metrics import DiscoveryMetrics

pytestmark = pytest.mark.integration


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with running_dns_server() as server:
        yield server


def asking(server: DnsServer, metrics: DiscoveryMetrics, **settings: Any) -> DnsSrvNames:
    given = {"min_ttl_ms": 20, "timeout_ms": 300, "resolvers": (f"127.0.0.1:{server.port}",)} | settings
    return DnsSrvNames(DnsSrvDiscovery(kind="dns_srv", name=NAME, **given), metrics=metrics)


async def test_targets_are_engines_with_their_ports_priorities_and_weights(
    server: DnsServer, metrics: DiscoveryMetrics, listen: Any
) -> None:
    server.records = ("1 5 7002 b.test.", "0 10 7001 a.test.", "0 0 0 .")
    told = listen(asking(server, metrics))
    await until(lambda: told.addresses is not None)
    assert told.listings == [
        (EngineAddress("a.test:7001", weight=10), EngineAddress("b.test:7002", priority=1, weight=5))
    ]
    server.records = ("0 10 7001 a.test.",)
    await until(lambda: told.addresses == ["a.test:7001"])


async def test_whatever_fails_takes_nothing_away(
    server: DnsServer, metrics: DiscoveryMetrics, registry: CollectorRegistry, listen: Any
) -> None:
    def is_failing() -> bool:
        return registry.get_sample_value("patchbay_discovery_failing", {"kind": "dns_srv"}) == 1

    server.records = ("0 10 7001 a.test.",)
    told = listen(asking(server, metrics))
    await until(lambda: told.addresses == ["a.test:7001"])
    for change in ({"rcode": dns.rcode.SERVFAIL}, {"rcode": dns.rcode.NXDOMAIN}, {"records": ()}, {"is_silent": True}):
        before = {name: getattr(server, name) for name in change}
        vars(server).update(change)
        await until(is_failing, what=str(change))
        vars(server).update(before)
        await until(lambda: not is_failing(), what=f"the end of {change}")
    assert len(told.listings) == 1


async def test_the_time_to_live_is_kept_within_its_bounds(
    server: DnsServer, metrics: DiscoveryMetrics, listen: Any
) -> None:
    server.records, server.ttl_s = ("0 10 7001 a.test.",), 3_600
    told = listen(asking(server, metrics, max_ttl_ms=50))
    await until(lambda: server.questions >= 3, what="the ceiling")
    server.ttl_s = 60
    patient = listen(asking(server, metrics))
    await until(lambda: patient.addresses is not None)
    assert told.addresses == patient.addresses == ["a.test:7001"]


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [("10.0.0.2", "10.0.0.2", 53), ("10.0.0.2:5353", "10.0.0.2", 5353), ("[::1]", "::1", 53), ("[::1]:54", "::1", 54)],
)
def test_a_resolver_is_an_address_and_maybe_a_port(text: str, address: str, port: int) -> None:
    DnsSrvDiscovery(kind="dns_srv", name=NAME, resolvers=(text,))
    nameserver = nameserver_at(text)
    assert (nameserver.address, nameserver.port) == (address, port)
