"""What a drill names in [must] is held against what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from regions.lab.call_record import CallRecord, Move, Told
from regions.lab.drill_file import check_drill
from regions.lab.faults import Struck
from regions.lab.fence import FenceFigures
from regions.lab.findings import Findings
from regions.lab.operator import OrderRun
from regions.lab.report import report
from regions.lab.transcripts import SpokenWord

pytestmark = pytest.mark.unit

KEY = ("synthetic", 1, 1_000)
WORDS = [SpokenWord("one", 0, 500), SpokenWord("two", 500, 1_000)]


def unmet(*records: CallRecord, must: dict[str, Any], **more: Any) -> list[str]:
    tree = {"name": "mine", "summary": "Mine.", "world": {"has_tiers": True}, "callers": [{}], "must": must}
    told = report(check_drill(tree), Findings(records, {KEY: WORDS}, more.pop("struck", []), **more))
    assert told["passed"] is not any(not criterion["met"] for criterion in told["criteria"])
    return [criterion["name"] for criterion in told["criteria"] if not criterion["met"]]


def record(words: list[SpokenWord] = WORDS, **more: Any) -> CallRecord:
    given: dict[str, Any] = {"regions": ["west"], "is_finished": True, "began_at_s": 0.1, "ended_at_s": 2.0} | more
    call = CallRecord(1, "", KEY, words=list(words), **given)
    call.progress = [(0.5, 500), (1.0, 1_000)]
    return call


def shed(tier: str) -> CallRecord:
    told = [Told("capacity_shed", is_retryable=True, retry_after_ms=1_000)]
    return record(WORDS[:1], tier=tier, is_finished=False, failure="capacity_shed", told=told)


def test_only_the_named_tiers_may_be_shed() -> None:
    must: dict[str, Any] = {"shed_only": ["economy"], "shed_least": 1, "refused_were_told": True}
    assert unmet(shed("economy"), record(tier="premium"), must=must) == []
    assert unmet(shed("standard"), must=must) == [
        "words lost by position at most",
        "words lost by text at most",
        "sessions failed at most",
    ]
    assert unmet(record(), must=must) == ["sessions shed at least"]
    not_served = record([], tier="economy", regions=[], is_finished=False)
    assert unmet(not_served, shed("economy"), must=must) == []


def test_the_longest_pause_counts_and_not_a_quantile() -> None:
    late = record(moves=[Move(0.7, "engine_draining", "west", "west", 0)])
    late.progress = [(0.5, 500), (1.0, 600), (1.5, 700), (2.5, 1_000)]
    late.moves.append(Move(1.7, "engine_draining", "west", "west", 0))
    assert unmet(late, must={"pause_longest_ms": 600}) == []
    assert unmet(late, must={"pause_longest_ms": 300}) == ["longest pause, ms at most"]


def test_orders_upgrades_and_what_is_left_are_asked() -> None:
    must = {
        "drained_within_s": 5,
        "upgraded_least": 2,
        "streams_left": 0,
        "moved_within_s": 3,
        "lives_once_within_s": 1,
    }
    moved = record(moves=[Move(1.5, "engine_draining", "west", "west", 0)])
    good: dict[str, Any] = {
        "orders": [OrderRun("region/west", "drain", 1.0, done_at_s=4.0)],
        "upgraded": ["gateway/west/1", "gateway/west/2"],
        "streams_left": 0,
        "struck": [Struck(1.0, "operate", ("region/west",), 1.0)],
        "totals": [(1.2, 1), (1.6, 1)],
    }
    assert unmet(moved, must=must, **good) == []
    assert unmet(record(), must=must) == [
        "moved, s at most",
        "drained, s at most",
        "each session lives once, s at most",
        "streams left at most",
        "processes upgraded at least",
    ]


def test_audio_outside_the_fence_fails_every_drill_that_has_one() -> None:
    late = FenceFigures(pieces=9, longest_after_change_s=1.5, outside=["an engine in east heard inner"])
    assert unmet(record(), must={}, fence=late) == ["outside the fence at most"]
    sound = FenceFigures(pieces=9, longest_after_change_s=1.5)
    assert unmet(record(), must={"fence_longest_s": 2}, fence=sound) == []
    assert unmet(record(), must={"fence_longest_s": 1}, fence=sound) == ["audio after a region left the set, s at most"]


def test_sessions_that_policy_ended_are_excused_where_the_drill_says_so() -> None:
    told = [Told("wrong_region", is_retryable=False, retry_after_ms=None)]
    ended = record(WORDS[:1], is_finished=False, failure="wrong_region", told=told)
    assert "sessions failed at most" in unmet(ended, must={})
    assert unmet(ended, must={"policy_ends": True, "ended_by_policy_least": 1}) == []
    assert unmet(record(), must={"policy_ends": True, "ended_by_policy_least": 1}) == [
        "sessions ended by policy at least"
    ]


def test_sessions_are_counted_by_what_they_spoke_and_by_what_ended_them() -> None:
    kept, fell = record(protocols=["webtransport", "webtransport"]), record(protocols=["webtransport", "ws"])
    assert unmet(kept, fell, must={"webtransport_least": 1, "fell_back_least": 1, "fell_back_most": 1}) == []
    assert unmet(kept, fell, must={"webtransport_least": 2, "fell_back_least": 2, "fell_back_most": 0}) == [
        "sessions fell back at most",
        "sessions fell back at least",
        "sessions over WebTransport at their end at least",
    ]
    told = [Told("quota_exhausted", is_retryable=True, retry_after_ms=1_000)]
    spent = record(WORDS[:1], is_finished=False, failure="quota_exhausted", told=told)
    assert unmet(spent, must={"quota_ends": True, "ended_by_quota_least": 1}) == []
    assert "sessions failed at most" in unmet(spent, must={})
    assert unmet(kept, must={"ended_by_quota_least": 1}) == ["sessions ended by quota at least"]
