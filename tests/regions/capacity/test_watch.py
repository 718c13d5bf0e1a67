"""The watch of a region's capacity: what is seen over time, by reports that a test writes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from policies.tier_slots import TierHeadroom
from policies.unmet_demand import UnmetDemand
from regions.capacity.settings import CapacitySettings
from regions.capacity.watch import CapacityWatch
from tests.harness.waiting import until
from tests.regions.capacity.reports import RESERVED, SPOT, engine

if TYPE_CHECKING:
    from regions.capacity.snapshot import CapacitySnapshot
    from regions.links.engine_report import EngineReport

pytestmark = pytest.mark.unit

SETTINGS = CapacitySettings(
    headroom_permille=0, peak_window_ms=60_000, scale_down_after_ms=10_000, expected_peaks={"de": 70}
)


@dataclass
class Watched:
    """A watch whose clock and reports are a test's."""

    settings: CapacitySettings = SETTINGS
    now_ms: int = 0
    reports: list[EngineReport] = field(default_factory=list)
    unmet: UnmetDemand = field(default_factory=UnmetDemand)
    silent: int = 0

    def __post_init__(self) -> None:
        self.watch = CapacityWatch(
            self.settings,
            TierHeadroom(economy_permille=0),
            reports=lambda: self.reports,
            pools=lambda: (),
            unmet=self.unmet,
            now_ms=lambda: self.now_ms,
            silent=lambda: self.silent,
        )

    def look(self, now_ms: int, *reports: EngineReport) -> CapacitySnapshot:
        self.now_ms = now_ms
        self.reports = list(reports)
        return self.watch.now()


def test_the_peak_that_was_seen_is_what_has_to_be_survived() -> None:
    watched = Watched()
    watched.look(0, engine("base", slots=100, used=80))
    (now,) = watched.look(60_000, engine("base", slots=50, used=10)).fleets
    assert (now.seen_peak_slots, now.zone_loss.holds, now.zone_loss.margin_slots) == (80, False, -30)
    (later,) = watched.look(61_000, engine("base", slots=50, used=10)).fleets
    assert (later.seen_peak_slots, later.zone_loss.holds) == (10, True)


def test_a_peak_that_is_expected_counts_unless_a_larger_one_was_seen() -> None:
    watched = Watched()
    (quiet,) = watched.look(0, engine("base", slots=100, used=5, models=("de",))).fleets
    assert (quiet.expected_slots, quiet.zone_loss.demand_slots) == (70, 70)
    (busy,) = watched.look(1_000, engine("base", slots=100, used=90, models=("de",))).fleets
    assert (busy.expected_slots, busy.zone_loss.demand_slots) == (70, 90)


def test_spot_that_is_on_its_way_out_is_no_capacity_and_its_streams_are_demand() -> None:
    (fleet,) = (
        Watched()
        .look(
            0,
            engine("base", RESERVED, slots=10, used=4),
            engine("spot", SPOT, "a", slots=10, used=6, is_leaving=True),
            engine("spot", SPOT, "b", slots=10),
        )
        .fleets
    )
    assert (fleet.wanted.demand_slots, fleet.zone_loss.left_slots, fleet.zone_loss.holds) == (10, 10, True)


def test_two_gateways_that_watch_the_same_engines_say_the_same() -> None:
    one, other = Watched(), Watched()
    reports = [engine("base", slots=20, used=7), engine("spot", SPOT, "a", slots=20, used=5)]
    assert one.look(0, *reports) == other.look(0, *reports)
    assert one.look(0, *reports).fleets[0].wanted.demand_slots == 12


def test_sessions_of_this_gateway_that_found_no_slot_are_demand() -> None:
    watched = Watched()
    watched.unmet.wanted("s1", "en")
    (fleet,) = watched.look(0, engine("base", slots=10, used=10)).fleets
    assert (fleet.unmet_slots, fleet.wanted.demand_slots) == (1, 11)


def test_before_any_engine_spoke_nothing_is_believed_for_a_while() -> None:
    watched = Watched()
    assert [watched.look(now_ms).is_settled for now_ms in (0, 9_900, 10_000)] == [False, False, True]
    assert Watched().look(0, engine("base")).is_settled


def test_a_gateway_that_met_one_engine_of_many_is_not_believed_yet() -> None:
    watched = Watched()
    watched.silent = 39
    assert not watched.look(500, engine("base")).is_settled
    watched.silent = 0
    assert watched.look(600, engine("base")).is_settled
    watched.silent = 1
    assert watched.look(10_000, engine("base")).is_settled, "one that is dead and still listed"


def test_where_engines_are_listed_and_none_answers_nothing_is_believed_however_long_it_lasts() -> None:
    watched = Watched()
    watched.look(0, engine("base", slots=100, used=80))
    watched.silent = 1
    assert not watched.look(3_600_000).is_settled
    assert watched.look(3_601_000, engine("base")).is_settled, "some answer"
    watched.silent = 0
    assert watched.look(3_602_000).is_settled, "none is listed: there are none"


def test_the_first_caller_of_a_region_without_engines_is_worth_an_engine() -> None:
    watched = Watched()
    watched.look(0, engine("base", slots=8))
    watched.look(20_000)
    watched.unmet.wanted("s1", "en")
    (fleet,) = watched.look(40_000).fleets
    assert (fleet.wanted.demand_slots, fleet.wanted.by_row["base", ""]) == (1, 1)


def test_whoever_asks_again_at_once_hears_the_same() -> None:
    watched = Watched()
    first = watched.look(0, engine("base", used=1))
    assert watched.look(99, engine("base", used=2)) is first
    assert watched.look(100, engine("base", used=2)).fleets[0].fleet.slots_used == 2


def test_a_fleet_that_is_gone_is_forgotten_with_its_peak() -> None:
    watched = Watched()
    watched.look(0, engine("base", slots=100, used=80, models=("en",)))
    watched.look(1_000, engine("base", slots=100, models=("fr",)))
    (fleet,) = watched.look(2_000, engine("base", slots=100, models=("en",))).fleets
    assert fleet.seen_peak_slots == 0


async def test_it_looks_by_itself() -> None:
    watched = Watched(settings=CapacitySettings(look_every_ms=50))
    running = asyncio.create_task(watched.watch.run())
    try:
        watched.reports = [engine("base", used=9)]
        watched.now_ms = 1_000
        await until(lambda: watched.watch._snapshot is not None and watched.watch._snapshot.has_reports, what="a look")
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
