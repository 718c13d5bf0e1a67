"""Game days in whole regions: a short one in `make test`; `make chaos` (--long) runs every drill that ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from regions.lab.drill import run_drill
from regions.lab.drill_file import SHIPPED, check_drill, read_drill

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600), pytest.mark.alone]

SHORT: dict[str, Any] = {
    "name": "short",
    "summary": "An engine dies, and the link to the other one breaks.",
    "world": {"reserved": 2},
    "callers": [{"count": 3, "seconds": 3.5}],
    "fault": [
        {"kind": "kill", "target": "engine/west/reserved-1", "at_s": 1.0, "down_s": 0.0},
        {"kind": "reset", "target": "link/engine/west/reserved-2", "at_s": 2.6},
    ],
    "must": {"moves_least": 1, "pause_p99_ms": 3_000},
}

GAME_DAY: dict[str, Any] = {
    "name": "game-day",
    "summary": "A region is drained by order while its Redis fails over; a spot engine elsewhere is told that it goes.",
    "world": {"regions": 2, "spot": 1, "redis_replica": True},
    "callers": [{"count": 5, "home": "west", "seconds": 7, "spread_s": 0.2}],
    "fault": [
        {"kind": "operate", "target": "region/west", "at_s": 1.5},
        {"kind": "fail_over", "target": "redis/west", "at_s": 1.7, "for_s": 0.4},
        {"kind": "preempt", "target": "engine/central/spot-1", "at_s": 3.5, "lead_s": 3.0},
    ],
    "must": {"moves_least": 1, "drained_within_s": 20, "refused_were_told": True, "lives_once_within_s": 6},
}


EMBARGO: dict[str, Any] = {
    "name": "short-embargo",
    "summary": "Signed bundles: a region is forbidden to all while callers are there, and an older bundle is put back.",
    "world": {"regions": 2, "residency": {}, "profiles": {"both": ["west", "central"]}},
    "callers": [
        {"count": 2, "home": "central", "profile": "both", "seconds": 6},
        {"count": 1, "home": "west", "seconds": 6},
    ],
    "fault": [
        {"kind": "embargo", "target": "region/central", "at_s": 2.0},
        {"kind": "corrupt_bundle", "target": "region/*", "pick": "all", "how": "older", "for_s": 2, "at_s": 3.5},
    ],
    "must": {"policy_ends": True, "ended_by_policy_least": 1, "fence_longest_s": 3, "streams_left": 0},
}


async def test_sessions_outlive_their_engine_and_the_report_says_so(tmp_path: Path) -> None:
    report = await run_drill(check_drill(SHORT), tmp_path, seed=1)
    assert report["passed"], report
    assert report["words"]["undisturbed"] == 3 * 7
    assert report["faults"]["by_kind"] == {"kill": 1, "reset": 1}
    assert report["moves"]["from_to"].keys() == {"west -> west"}
    assert report["stall_floor_ms"]["samples"] > 0
    assert report["not_restarted"] == []


async def test_a_region_is_emptied_by_order_through_the_failover_of_its_redis(tmp_path: Path) -> None:
    report = await run_drill(check_drill(GAME_DAY), tmp_path, seed=1)
    assert report["passed"], report
    assert report["not_restarted"] == []
    (order,) = report["orders"]
    assert (order["target"], order["outcome"], order["progress"]["left"]) == ("region/west", "in_force", 0)
    assert report["faults"]["by_kind"] == {"operate": 1, "fail_over": 1, "preempt": 1}


async def test_an_embargo_is_kept_to_at_once_and_an_older_bundle_opens_nothing(tmp_path: Path) -> None:
    report = await run_drill(check_drill(EMBARGO), tmp_path, seed=1)
    assert report["passed"], report
    assert report["faults"]["by_kind"] == {"embargo": 1, "corrupt_bundle": 2}


@pytest.mark.parametrize("drill", sorted(path.stem for path in SHIPPED.glob("*.toml")))
async def test_a_shipped_drill_is_good_and_passes_in_the_long_form(drill: str, is_long: bool, tmp_path: Path) -> None:
    spec = read_drill(SHIPPED / f"{drill}.toml")
    if not is_long:
        assert spec.callers
        return
    report = await run_drill(spec, tmp_path, seed=1)
    assert report["passed"], report
