"""The report of a drill for people."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from gateway.cli.lab_report import show_report
from regions.lab.call_record import CallRecord, Move
from regions.lab.drill_file import check_drill
from regions.lab.fence import FenceFigures
from regions.lab.findings import Findings
from regions.lab.report import report
from regions.lab.transcripts import SpokenWord

pytestmark = pytest.mark.unit

KEY = ("synthetic", 0, 1_000)
WORDS = [SpokenWord("one", 0, 500), SpokenWord("two", 500, 1_000)]


def shown(words: list[SpokenWord], *, fence: FenceFigures | None = None, **must: Any) -> str:
    drill = check_drill({"name": "mine", "summary": "Mine.", "callers": [{}], "must": must})
    record = CallRecord(0, "", KEY, words=words, regions=["west"], is_finished=True)
    record.moves = [Move(1.0, "link_lost", "west", "west", 4.0)]
    told = report(drill, Findings([record], {KEY: WORDS}, [], stall_floor={"p50_ms": 0.1, "p99_ms": 2.0}, fence=fence))
    console = Console(file=io.StringIO(), width=120)
    show_report(told | {"not_restarted": ["engine/west/reserved-1 ended with 1"]}, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_that_passed_says_so_and_what_it_came_to() -> None:
    text = shown(WORDS)
    assert text.rstrip().endswith("passed")
    for part in ("1 of 1 finished", "0 by position, 0 by text", "link_lost 1", "west -> west 1", "p99 2.0 ms"):
        assert part in text
    assert "engine/west/reserved-1 ended with 1" in text


def test_a_run_that_failed_says_by_what() -> None:
    text = shown(WORDS[:1], pause_p99_ms=100)
    assert text.rstrip().endswith("failed")
    assert "not met words lost by position at most" in text


def test_a_run_under_a_bundle_says_what_was_outside() -> None:
    assert "outside the fence" not in shown(WORDS)
    text = shown(WORDS, fence=FenceFigures(pieces=7, chosen=3, longest_after_change_s=0.5))
    assert "nothing (7 pieces of audio, 3 decisions on record; 0.5 s after a change at most)" in text
    assert "an engine heard inner" in shown(WORDS, fence=FenceFigures(outside=["an engine heard inner"]))
