"""Audio that was where policy did not permit it is found, with how long it had not been permitted."""

from __future__ import annotations

import json
import math

import pytest

from regions.lab.call_record import CallRecord, Stay
from regions.lab.fence import Chosen, Fence, Heard, InForce, held_against, read_chosen, read_heard
from regions.lab.policy_bundle import EVERYWHERE, first_policy

pytestmark = pytest.mark.unit

WALL_S = 1_800_000_000.0
FIRST = first_policy(("west", "central", "east"), {"inner": ("west", "central")}, now_s=WALL_S, expires_in_s=100)
SECOND = FIRST.next(now_s=WALL_S + 20).with_list("inner", ("west",)).with_row_end("east", WALL_S + 50)


def fence() -> Fence:
    return Fence([InForce(1_000.0, WALL_S, FIRST), InForce(1_020.0, WALL_S + 20, SECOND)])


def record(*stays: Stay, profile: str = "inner") -> CallRecord:
    return CallRecord(1, profile, ("synthetic", 1, 1), sessions=["s1"], stays=list(stays), ended_at_s=1_030.0)


def test_what_left_a_set_is_late_from_that_moment_on() -> None:
    known = fence()
    assert known.outside_for_s("inner", "central", 1_019.0) == 0
    assert known.outside_for_s("inner", "central", 1_023.0) == pytest.approx(3.0)
    assert known.outside_for_s(EVERYWHERE, "east", 1_049.0) == 0
    assert known.outside_for_s(EVERYWHERE, "east", 1_052.5) == pytest.approx(2.5)
    assert known.outside_for_s(EVERYWHERE, "west", 1_101.0) == pytest.approx(1.0)
    assert math.isinf(known.outside_for_s("inner", "east", 1_010.0))
    assert math.isinf(known.outside_for_s("inner", "west", 900.0))


def test_engines_and_gateways_that_heard_too_much_are_told() -> None:
    heard = [
        Heard(1_010.0, "s1", "central"),
        Heard(1_021.0, "s1", "central"),
        Heard(1_026.0, "s1", "central"),
        Heard(1_005.0, "s1", "east"),
        Heard(1_005.0, "of-nobody", "east"),
    ]
    calls = [record(Stay("west", 1_001.0, 1_010.0), Stay("central", 1_010.0))]
    figures = held_against(fence(), calls, heard, grace_s=4.0, default_profile=EVERYWHERE)
    assert (figures.pieces, figures.stays, figures.longest_after_change_s) == (4, 2, pytest.approx(1.0))
    assert figures.outside == [
        "a gateway in central served inner 10.00 s after it might not",
        "an engine in central heard inner 6.00 s after it might not",
        "an engine in east heard inner and never may",
    ]
    assert figures.as_figures()["pieces_of_audio"] == 4


def test_what_decision_logs_say_is_held_against_policy_too() -> None:
    def line(ts_s: float, **more: str) -> str:
        return json.dumps({"ts": round(1_000 * ts_s), "session": "s1", "profile": "inner", "chosen": "central"} | more)

    log = "\n".join(
        [
            line(WALL_S + 10),
            line(WALL_S + 21),
            line(WALL_S + 30),
            line(WALL_S + 30, session=""),
            line(WALL_S + 30, chosen=""),
            line(WALL_S + 40)[:20],
        ]
    )
    chosen = read_chosen(log)
    assert chosen == [Chosen(WALL_S + after_s, "inner", "central") for after_s in (10, 21, 30)]
    figures = held_against(fence(), [], [], chosen, grace_s=4.0, default_profile=EVERYWHERE)
    assert figures.chosen == 3
    assert figures.outside == ["a record puts inner in central 10.00 s after it might not"]


def test_callers_without_a_profile_have_the_usual_one() -> None:
    calls = [record(Stay("east", 1_001.0, 1_040.0), profile="")]
    assert held_against(fence(), calls, [], grace_s=0, default_profile=EVERYWHERE).outside == []


def test_a_torn_last_line_is_left_out() -> None:
    line = json.dumps({"at_s": 1.5, "session": "s", "from_sample": 0, "to_sample": 10}) + "\n"
    assert read_heard(line + line[:20], "west") == [Heard(1.5, "s", "west")]
