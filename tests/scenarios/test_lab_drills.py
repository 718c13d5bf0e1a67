"""Game days in whole regions: a short one in `make test`; `make chaos` (--long) runs every drill that ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from regions.lab.drill import run_drill
from regions.lab.drill_file import SHIPPED, check_drill, read_drill

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

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


async def test_sessions_outlive_their_engine_and_the_report_says_so(tmp_path: Path) -> None:
    report = await run_drill(check_drill(SHORT), tmp_path, seed=1)
    assert report["passed"], report
    assert report["words"]["undisturbed"] == 3 * 7
    assert report["faults"]["by_kind"] == {"kill": 1, "reset": 1}
    assert report["moves"]["from_to"].keys() == {"west -> west"}
    assert report["stall_floor_ms"]["samples"] > 0
    assert report["not_restarted"] == []


@pytest.mark.parametrize("drill", sorted(path.stem for path in SHIPPED.glob("*.toml")))
async def test_a_shipped_drill_passes(drill: str, is_long: bool, tmp_path: Path) -> None:
    spec = read_drill(SHIPPED / f"{drill}.toml")
    if not is_long:
        assert spec.callers
        return
    report = await run_drill(spec, tmp_path, seed=1)
    assert report["passed"], report
