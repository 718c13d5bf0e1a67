"""Which regions a session moves out of."""

from __future__ import annotations

import pytest

from engines.interface import MoveReason, OpenStream, StreamOptions
from regions.moving_out import regions_left
from regions.placed_stream import PlacedStream
from regions.placement_rules import PlacementRules
from regions.region_watch import RegionWatch
from tests.fakes.region_pool import FakeLink, FakeRegionPool
from tests.regions.placement_world import spec

pytestmark = pytest.mark.unit

OPEN = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
NOWHERE: frozenset[str] = frozenset()
EAST = frozenset({"east"})


class Nobody:
    def heard(self, stream: PlacedStream, event: object) -> None:
        """Nobody listens."""

    def given_up(self, stream: PlacedStream, reason: object) -> None:
        """Nobody listens."""


def stream(*, is_handover: bool = False) -> PlacedStream:
    made = PlacedStream(OPEN, lambda _event: None, Nobody())
    made.is_handover = is_handover
    return made


def working(reason: MoveReason | None, *, is_local: bool = False, engines: int = 1) -> PlacedStream:
    """A stream that is granted in the east."""
    made = stream()
    pool = FakeRegionPool()
    pool.links = [FakeLink(f"fake:{number}") for number in range(engines)]
    rules = PlacementRules()
    made.region = RegionWatch("east", spec("east"), pool, rules, is_local=is_local, rtt_prior_ms=1.0)
    made.is_granted = True
    made.move_reason = reason
    return made


@pytest.mark.parametrize("reason", [MoveReason.region_draining, MoveReason.outside_policy])
def test_a_region_that_drains_or_left_the_set_must_be_left(reason: MoveReason) -> None:
    assert regions_left(stream(is_handover=True), [working(reason, engines=9)]) == (EAST, NOWHERE)


@pytest.mark.parametrize("reason", [MoveReason.engine_draining, MoveReason.operator])
def test_a_region_in_which_one_engine_drains_is_not_left(reason: MoveReason) -> None:
    assert regions_left(stream(is_handover=True), [working(reason, is_local=True)]) == (NOWHERE, NOWHERE)


def test_a_slow_engine_that_is_the_only_one_here_is_left_for_another_region() -> None:
    assert regions_left(stream(is_handover=True), [working(None, is_local=True)]) == (EAST, NOWHERE)
    assert regions_left(stream(is_handover=True), [working(None, is_local=True, engines=2)]) == (NOWHERE, NOWHERE)


def test_a_slow_engine_behind_a_relay_may_have_a_quicker_one_beside_it() -> None:
    assert regions_left(stream(is_handover=True), [working(None)]) == (NOWHERE, EAST)


def test_a_stream_that_is_no_handover_leaves_nothing() -> None:
    assert regions_left(stream(), [working(MoveReason.region_draining)]) == (NOWHERE, NOWHERE)


def test_a_stream_does_not_flee_itself_nor_what_was_never_granted() -> None:
    asked = stream(is_handover=True)
    waiting = working(MoveReason.region_draining)
    waiting.is_granted = False
    assert regions_left(asked, [asked, waiting]) == (NOWHERE, NOWHERE)


def test_an_engine_that_failed_a_moment_ago_is_another_one_all_the_same() -> None:
    slow = working(None, is_local=True, engines=2)
    assert slow.region is not None
    for link in slow.region.pool.links:
        link.has_failed_lately = True  # type: ignore[misc]
    assert regions_left(stream(is_handover=True), [slow]) == (NOWHERE, NOWHERE)
