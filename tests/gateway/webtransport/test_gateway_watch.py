"""A gateway that falls silent is lost once, and found once it speaks."""

from __future__ import annotations

from gateway.webtransport.gateway_watch import GatewayWatch


class Edge:
    def __init__(self) -> None:
        self.told: list[str] = []

    def gateway_lost(self) -> None:
        self.told.append("lost")

    def gateway_found(self) -> None:
        self.told.append("found")


def test_a_gateway_that_says_nothing_for_too_long_is_lost_until_it_speaks() -> None:
    edge = Edge()
    watch = GatewayWatch(edge, silent_s=3)
    for _ in range(2):
        watch.tick()
    watch.heard()
    for _ in range(2):
        watch.tick()
    assert edge.told == []
    for _ in range(4):
        watch.tick()
    assert edge.told == ["lost"]
    watch.heard()
    watch.heard()
    assert edge.told == ["lost", "found"]


def test_it_can_be_lost_again() -> None:
    edge = Edge()
    watch = GatewayWatch(edge, silent_s=2)
    for _ in range(2):
        watch.tick()
        watch.tick()
        watch.heard()
    assert edge.told == ["lost", "found"] * 2
