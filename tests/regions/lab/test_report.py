"""What a drill came to, and whether it passed."""

from __future__ import annotations

from typing import Any

import pytest

from regions.lab.call_record import CallRecord, Move
from regions.lab.drill_file import DrillSpec, PassSpec, check_drill
from regions.lab.faults import Struck
from regions.lab.findings import Findings, outside_policy, recovered_within_s, word_faults
from regions.lab.report import report
from regions.lab.transcripts import SpokenWord

pytestmark = pytest.mark.unit

KEY = ("synthetic", 1, 4_000)
WORDS = [SpokenWord(f"w{number}", 500 * number, 500 * number + 500) for number in range(8)]


def drill(**must: Any) -> DrillSpec:
    return check_drill(
        {
            "name": "mine",
            "summary": "A test.",
            "world": {"regions": 3, "profiles": {"inner": ["west", "central"]}},
            "callers": [{"count": 1, "profile": "inner"}],
            "must": must,
        }
    )


def record(words: list[SpokenWord] = WORDS, *, lag_ms: float = 20.0) -> CallRecord:
    call = CallRecord(1, "inner", KEY, words=list(words), regions=["west"], is_finished=True, ended_at_s=4.1)
    call.sent = [(100 * piece, 0.1 * piece) for piece in range(1, 41)]
    call.progress = [(0.5 * half + lag_ms / 1_000, 500 * half) for half in range(1, 9)]
    return call


def findings(*records: CallRecord, **more: Any) -> Findings:
    return Findings(records=records, undisturbed={KEY: WORDS}, struck=more.pop("struck", []), **more)


def unmet(told: dict[str, Any]) -> list[str]:
    return [criterion["name"] for criterion in told["criteria"] if not criterion["met"]]


def test_a_good_run_passes() -> None:
    told = report(drill(), findings(record()))
    assert told["passed"]
    assert told["words"] == {
        "undisturbed": 8,
        "lost_by_position": 0,
        "lost_by_text": 0,
        "doubled_by_position": 0,
        "doubled_by_text": 0,
        "changed": 0,
    }


def test_a_planted_lost_word_fails_the_drill_by_position_and_by_text() -> None:
    told = report(drill(), findings(record(), record([*WORDS[:3], *WORDS[4:]])))
    assert unmet(told) == ["words lost by position at most", "words lost by text at most"]


def test_a_planted_doubled_word_fails_the_drill_by_position_and_by_text() -> None:
    told = report(drill(), findings(record([*WORDS, WORDS[-1]])))
    assert unmet(told) == ["words doubled by position at most", "words doubled by text at most"]


def test_a_session_that_ended_early_has_lost_its_rest_and_failed() -> None:
    call = record(WORDS[:5])
    call.is_finished, call.failure = False, "engine_unavailable"
    told = report(drill(), findings(call))
    assert told["words"]["lost_by_position"] == 3
    assert told["sessions"]["failed"] == {"engine_unavailable": 1}
    assert "sessions failed at most" in unmet(told)


def test_a_caller_that_nobody_took_has_lost_no_word_and_is_counted() -> None:
    call = CallRecord(1, "", KEY, refusals=["no_capacity", "no_capacity"])
    found = findings(call)
    assert word_faults(found, PassSpec()).expected == 0
    told = report(drill(), found)
    assert told["sessions"]["refusals"] == {"no_capacity": 2}
    assert unmet(told) == ["callers not served at most"]


def test_places_outside_the_policy_set_are_named() -> None:
    call = record()
    call.regions = ["west", "east"]
    assert outside_policy([call], {"inner": ["west", "central"]}) == ["caller 1 in east"]
    assert "placed outside the policy set at most" in unmet(report(drill(), findings(call)))


def test_moves_are_told_by_reason_and_by_where_they_went() -> None:
    call = record()
    call.moves = [Move(1.2, "link_lost", "west", "central", 4), Move(2.2, "gateway_lost", "central", "west", 80, True)]
    moves = report(drill(moves_least=2, resumes_least=1), findings(call))["moves"]
    assert moves == {
        "all": 2,
        "resumes": 1,
        "by_reason": {"gateway_lost": 1, "link_lost": 1},
        "from_to": {"central -> west": 1, "west -> central": 1},
    }
    assert unmet(report(drill(moves_most=1), findings(call))) == ["moves at most"]


def test_an_engine_above_its_slots_fails_the_drill() -> None:
    told = report(drill(), findings(record(), most_used={"engine/west/reserved-1": (9, 8)}))
    assert unmet(told) == ["engines above their slots at most"]


def test_a_pause_that_was_not_measured_does_not_pass_for_short() -> None:
    told = report(drill(pause_p99_ms=100), findings(record()))
    assert unmet(told) == ["pause p99, ms at most"]


def test_first_choices_come_from_the_gateways_metrics() -> None:
    metrics = {
        "patchbay_placement_first_choices_total": 200.0,
        "patchbay_placement_first_choice_refused_total": 3.0,
        "patchbay_pool_open_retries_total": 10.0,
    }
    told = report(drill(first_choice_refused_permille=60), findings(record(), metrics=metrics))
    assert told["first_choices"]["refused_permille"] == 65.0
    assert unmet(told) == ["first choices refused, ‰ at most"]


def test_the_time_to_recover_ends_with_the_last_second_of_long_lag() -> None:
    slow, late = record(lag_ms=20), record(lag_ms=1_500)
    late.progress = late.progress[:2]  # words of 0.5 and 1.0 s came at 2.0 and 2.5 s
    assert recovered_within_s([slow, late], since_s=1.0, bound_ms=1_000) == 2.0
    assert recovered_within_s([slow], since_s=0.0, bound_ms=1_000) == 0.0
    assert recovered_within_s([late], since_s=1.0, bound_ms=1_000) is None


def test_a_drill_that_never_recovers_fails() -> None:
    told = report(
        drill(lag_recovered_within_s=30), findings(record(lag_ms=2_000), struck=[Struck(0.0, "kill", ("engine/a",))])
    )
    assert unmet(told) == ["lag recovered, s at most"]
    assert told["faults"] == {"struck": 1, "by_kind": {"kill": 1}}
