"""Promises of telling a listing on: once for each change, each address once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from regions.discovery.interface import EngineAddress
from regions.discovery.teller import Teller

if TYPE_CHECKING:
    from regions.discovery.metrics import DiscoveryMetrics

pytestmark = pytest.mark.unit

A, B = EngineAddress("a:1"), EngineAddress("b:1")


def test_only_changes_are_told_sorted_and_the_first_of_two_of_one_address_counts(metrics: DiscoveryMetrics) -> None:
    told: list[tuple[EngineAddress, ...]] = []
    teller = Teller("file", metrics)
    for listing in ([B, A], [A, B], [A, B, EngineAddress("a:1", zone="z")], [A], [], []):
        teller.tell(listing, told.append)
    assert told == [(A, B), (A,), ()]


def test_a_source_that_is_away_is_said_once_and_so_is_its_return(metrics: DiscoveryMetrics) -> None:
    teller = Teller("file", metrics)
    with capture_logs() as logs:
        teller.tell([A], lambda _: None)
        for _ in range(3):
            teller.failed("gone")
        for _ in range(3):
            teller.tell([A], lambda _: None)
    assert [line["event"] for line in logs] == ["discovery.changed", "discovery.away", "discovery.back"]
