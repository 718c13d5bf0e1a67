"""What can be measured in what a run left behind."""

from __future__ import annotations

from typing import Any

import pytest

from regions.lab.call_record import CallRecord, Move, Told
from regions.lab.drill_file import PassSpec
from regions.lab.faults import Struck
from regions.lab.findings import Findings, drained_within_s, lives_once_within_s, moved_within_s, untold, word_faults
from regions.lab.operator import OrderRun
from regions.lab.transcripts import SpokenWord

pytestmark = pytest.mark.unit

KEY = ("synthetic", 1, 4_000)
WORDS = [SpokenWord(f"w{number}", 500 * number, 500 * number + 500) for number in range(8)]


def record(**more: Any) -> CallRecord:
    return CallRecord(1, "", KEY, began_at_s=1.0, ended_at_s=9.0, regions=["west"], **more)


def findings(*records: CallRecord, struck: list[Struck] | None = None, **more: Any) -> Findings:
    return Findings(records, {KEY: WORDS}, struck or [], **more)


def test_of_a_session_that_may_be_shed_only_what_it_was_given_counts() -> None:
    shed = record(words=WORDS[:3], failure="capacity_shed", tier="economy")
    assert word_faults(findings(shed), PassSpec()).lost == 5
    assert word_faults(findings(shed), PassSpec(shed_only=("economy",))).lost == 0
    holed = record(words=[WORDS[0], WORDS[2]], failure="capacity_shed", tier="economy")
    assert word_faults(findings(holed), PassSpec(shed_only=("economy",))).lost == 1


def test_moves_are_timed_from_the_last_fault_on() -> None:
    moved = record(moves=[Move(2.0, "engine_lost", "west", "west", 0), Move(7.5, "engine_draining", "west", "east", 0)])
    struck = [Struck(1.0, "kill", ("engine/a",)), Struck(5.0, "preempt", ("engine/b",))]
    assert moved_within_s(findings(moved, struck=struck)) == 2.5
    assert moved_within_s(findings(record(), struck=struck)) is None
    assert moved_within_s(findings(moved)) is None


def test_a_drain_that_never_ended_is_not_timed() -> None:
    done = OrderRun("region/west", "drain", 10.0, done_at_s=14.0)
    assert drained_within_s([done, OrderRun("region/west", "undrain", 20.0)]) == 4.0
    assert drained_within_s([done, OrderRun("pool/west/spot", "disable", 20.0)]) is None
    assert drained_within_s([]) is None


def test_who_was_not_told_why_or_for_how_long_is_named() -> None:
    records = [
        record(told=[Told("capacity_shed", is_retryable=True, retry_after_ms=2_000)], failure="capacity_shed"),
        record(told=[Told("token_expired", is_retryable=False, retry_after_ms=None)], failure="token_expired"),
        record(told=[Told("no_capacity", is_retryable=True, retry_after_ms=None)]),
        record(told=[Told("", is_retryable=True, retry_after_ms=1_000)]),
        record(failure="the connection broke"),
    ]
    assert untold(records) == ["caller 1: no_capacity", "caller 1: ", "caller 1: nothing"]


def test_a_session_lives_once_when_engines_have_no_more_streams_than_there_are_sessions() -> None:
    struck = [Struck(2.0, "partition", ("link/a",), over_at_s=3.0)]
    twice = [(2.5, 9), (3.5, 2), (4.5, 2), (5.5, 1), (9.5, 1), (10.5, 0)]
    assert lives_once_within_s(findings(record(), struck=struck, totals=twice)) == 1.5
    assert lives_once_within_s(findings(record(), struck=struck, totals=[(2.5, 9), (4.0, 1)])) == 0.0
    assert lives_once_within_s(findings(record(), struck=struck, totals=[(4.0, 1), (11.0, 1)])) is None
    assert lives_once_within_s(findings(record(), struck=struck, totals=[(2.5, 1)])) is None


def test_of_a_session_that_policy_ended_only_what_it_was_given_counts_and_its_last_word_may_be_torn() -> None:
    told = [Told("wrong_region", is_retryable=False, retry_after_ms=None)]
    torn = SpokenWord("w2", 1_000, 1_210)
    ended = record(words=[*WORDS[:2], torn], failure="wrong_region", told=told)
    assert ended.was_ended_by_policy
    assert word_faults(findings(ended), PassSpec()).lost == 6
    only_begun = word_faults(findings(ended), PassSpec(policy_ends=True))
    assert (only_begun.lost, only_begun.doubled) == (0, 0)
    doubled = record(words=[WORDS[0], WORDS[0], WORDS[1]], failure="wrong_region", told=told)
    assert word_faults(findings(doubled), PassSpec(policy_ends=True)).doubled == 1
    assert word_faults(findings(record(words=WORDS[:3], failure="silent")), PassSpec(policy_ends=True)).lost == 5


def test_of_a_session_that_its_quota_ended_only_what_it_was_given_counts() -> None:
    told = [Told("quota_exhausted", is_retryable=True, retry_after_ms=9_000)]
    ended = record(words=WORDS[:3], failure="quota_exhausted", told=told)
    assert word_faults(findings(ended), PassSpec()).lost == 5
    assert word_faults(findings(ended), PassSpec(quota_ends=True)).lost == 0
