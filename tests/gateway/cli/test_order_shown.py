"""Orders and dry runs in words that a tired reader understands."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from gateway.cli.order_shown import (
    counted,
    find_order,
    instant,
    order_rows,
    progress_line,
    show_plan,
    state_words,
    stuck_lines,
    target_name,
)

pytestmark = pytest.mark.unit

POOL = {"scope": "pool", "region": "ie", "name": "l4"}
PROGRESS: dict[str, Any] = {
    "total": 9,
    "moved": 3,
    "ended": 1,
    "peers_gone": 0,
    "moving": 2,
    "waiting": 0,
    "left": 5,
    "stuck": {"no_free_slot": 3},
    "gateways": 2,
}
ORDER: dict[str, Any] = {
    "id": "a" * 12,
    "target": POOL,
    "kind": "drain",
    "state": "in_force",
    "reason": "kernel",
    "given_by": "ada",
    "confirmed_by": "bob",
    "given_at_unix_ms": 0,
    "pace_per_s": 1,
    "within_ms": 60_000,
    "progress": PROGRESS,
}
PLAN: dict[str, Any] = {
    "target": POOL,
    "kind": "drain",
    "sessions": 5,
    "sessions_short": 2,
    "rows": [
        {
            "count": 3,
            "from": "ie",
            "to": "de",
            "tier": "premium",
            "permitted": ["de", "ie"],
            "model": "en",
            "version": "1",
            "language": "",
            "score_ms": 30.5,
            "parts_ms": {"rtt": 25.5, "queueing": 0.0, "cost": 5.0},
            "free_slots": 3,
            "kept_current": False,
        }
    ],
    "shortfalls": [
        {"count": 2, "tier": "economy", "model": "", "version": "", "language": "", "ruled_out": {"de": "no_free_slot"}}
    ],
    "policy_sets": [
        {"permitted": ["de", "ie"], "slots_needed": 5, "slots_free": 3, "slots_short": 2, "suffices": False}
    ],
    "needs_second_person_for": ["eu"],
    "sessions_of_other_regions": 1,
    "gateways_silent": ["ie/2"],
    "is_complete": False,
    "moving_s_at_pace": 5,
    "snapshot_age_ms": 40,
}


def test_progress_leaves_out_what_is_nought() -> None:
    assert progress_line(PROGRESS) == "5 of 9 left, 3 moved, 1 ended by themselves, 2 on their way, 3 stuck"
    assert progress_line(None) == "no gateway has said anything yet"
    assert progress_line(PROGRESS | {"total": 0}) == "nobody is there"
    assert stuck_lines(PROGRESS) == ["  3 stuck: no free slot elsewhere"]


def test_states_are_told_as_what_they_mean() -> None:
    assert [state_words(ORDER | {"state": state}) for state in ("in_force", "pending", "stopped")] == [
        "draining",
        "drain waits for a second person",
        "drain stopped: nothing new, nobody moves",
    ]
    assert state_words(ORDER | {"kind": "disable"}) == "disabled"


def test_an_order_is_found_by_what_it_is_about() -> None:
    assert find_order([ORDER], "pool", "ie", "l4") is ORDER
    assert find_order([ORDER], "pool", "de", "l4") is None
    assert (target_name(ORDER), instant(0), counted(1, "slot"), counted(2, "slot")) == (
        "l4",
        "1970-01-01 00:00:00Z",
        "1 slot",
        "2 slots",
    )


def test_all_of_an_order_is_shown() -> None:
    rows = dict(order_rows(ORDER))
    assert (rows["confirmed by"], rows["pace"]) == ("bob", "1 session a second, within 60 s")
    assert "progress" not in dict(order_rows(ORDER | {"state": "pending"}))


def test_a_dry_run_says_first_whether_there_is_room_and_then_why() -> None:
    text = StringIO()
    show_plan(Console(file=text, width=160), PLAN)
    said = text.getvalue()
    assert said.startswith("To drain l4 would move 5 sessions, and 2 of them would find NO PLACE.")
    for part in (
        "30.5 ms = round trip 25.5 + cost 5; 3 free",
        "de: no free slot",
        "NO: 2 short",
        "leave eu without a region",
        "WARNING: ie/2 did not say",
        "at least 5 s",
        "Nothing was changed.",
    ):
        assert part in said
