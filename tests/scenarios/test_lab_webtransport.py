"""Game days with callers over WebTransport. Their long forms are the drills `webtransport-*`: test_lab_drills.py.

Each is held against an undisturbed run word for word, and where audio was against signed bundles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from regions.lab.drill import run_drill
from regions.lab.drill_file import check_drill

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600), pytest.mark.alone]

OVER_WEBTRANSPORT: dict[str, Any] = {"protocol": "webtransport", "udp_patience_s": 6}
"""What is tested here is not how quick a busy machine shakes hands."""
LOSSES: dict[str, Any] = {
    "name": "short-losses",
    "summary": "West loses its gateway with the edge, central an edge process alone, and east its UDP.",
    "world": {
        "regions": 3,
        "webtransport": True,
        "residency": {},
        "profiles": {"inner": ["west", "central"], "middle": ["central"], "outer": ["east"]},
    },
    "callers": [
        {"count": 1, "home": "west", "profile": "inner", **OVER_WEBTRANSPORT, "seconds": 6},
        {"count": 1, "home": "west", "profile": "inner", **OVER_WEBTRANSPORT, "datagrams": True, "seconds": 6},
        {"count": 2, "home": "central", "profile": "middle", **OVER_WEBTRANSPORT, "seconds": 6},
        {"count": 2, "home": "east", "profile": "outer", **OVER_WEBTRANSPORT, "seconds": 6},
    ],
    "fault": [
        {"kind": "kill", "target": "edge/[wc]*", "pick": "all", "at_s": 2.7},
        {"kind": "kill", "target": "gateway/west/1", "at_s": 2.7},
        {"kind": "darken", "target": "link/webtransport/east/1", "at_s": 2.7, "for_s": 60},
    ],
    "must": {"resumes_least": 6},
}

MOVES: dict[str, Any] = {
    "name": "short-moves",
    "summary": "West is drained under its callers; one is sent on to central, and two there use up their quota.",
    "world": {
        "regions": 2,
        "webtransport": True,
        "has_quota": True,
        "residency": {},
        "profiles": {"both": ["west", "central"], "middle": ["central"]},
    },
    "callers": [
        {"count": 2, "home": "west", "profile": "both", **OVER_WEBTRANSPORT, "seconds": 7},
        {"count": 2, "home": "west", "profile": "both", **OVER_WEBTRANSPORT, "datagrams": True, "seconds": 7},
        {"count": 1, "home": "west", "profile": "middle", **OVER_WEBTRANSPORT, "seconds": 3},
        {
            "count": 2,
            "home": "central",
            "profile": "middle",
            **OVER_WEBTRANSPORT,
            "has_quota": True,
            "seconds": 12,
        },
    ],
    "fault": [{"kind": "operate", "target": "region/west", "at_s": 1.5}],
    "must": {
        "drained_within_s": 20,
        "moves_least": 1,
        "quota_ends": True,
        "ended_by_quota_least": 2,
        "refused_were_told": True,
        "fell_back_most": 0,
        "webtransport_least": 7,
        "streams_left": 0,
    },
}


def unmet(report: dict[str, Any]) -> list[Any]:
    return [each for each in report["criteria"] if not each["met"]] or [report]


async def test_callers_of_a_dead_gateway_a_dead_edge_and_a_dark_network_lose_no_word(tmp_path: Path) -> None:
    report = await run_drill(check_drill(LOSSES), tmp_path, seed=1)
    assert report["passed"], unmet(report)
    assert report["faults"]["by_kind"] == {"kill": 3, "darken": 1}
    assert report["sessions"]["fell_back"] >= 2, "who is in the dark falls back"
    assert report["fence"]["outside"] == []


async def test_callers_are_moved_sent_on_and_told_that_their_quota_is_over(tmp_path: Path) -> None:
    report = await run_drill(check_drill(MOVES), tmp_path, seed=1)
    assert report["passed"], unmet(report)
    assert report["moves"]["by_reason"]["region_draining"] >= 1
    assert report["sessions"]["told"].keys() == {"wrong_region", "quota_exhausted"}
    assert report["sessions"]["failed"] == {"quota_exhausted": 2}
    assert report["fence"]["outside"] == []
