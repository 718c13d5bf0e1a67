"""The sent log: what was sent, is settling, or is dead."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.metering.entries import MS_PER_HOUR
from gateway.metering.exporter.sent_log import Death, Logged, SentLog, Source, Standing, State, Sum
from tests.harness.exporter import usage_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.unit

DEATH = Death("status_400", "bad", may_have_arrived=False)
REPORTED = Death("reported_no_meter", "none", may_have_arrived=False)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SentLog]:
    opened = SentLog(tmp_path)
    yield opened
    opened.close()


def logged(number: int, *, hour: int = 500_000, org: str = "acme") -> Logged:
    event = usage_event(org, number, at_ms=hour * MS_PER_HOUR + 5)
    return Logged(event.id, event, (Source(org, b"%d-0" % number),))


def standing(log: SentLog, one: Logged, sink: str = "s") -> Standing | None:
    return log.standings(sink, [(one.event.hour, one.event_id)])[0]


def sums(log: SentLog) -> set[Sum]:
    return {row for row in log.sums(from_hour=0, to_hour=1_000_000) if row.events}


def test_the_first_attempt_is_remembered_over_all_others(log: SentLog, tmp_path: Path) -> None:
    log.tried("s", [logged(1)], at_ms=[10])
    log.tried("s", [logged(1)], at_ms=[99])
    again = SentLog(tmp_path)
    assert standing(again, logged(1)) == Standing(State.trying, 10)
    again.close()


def test_what_one_sink_has_another_does_not(log: SentLog) -> None:
    log.tried("s", [logged(1)], at_ms=[1])
    assert standing(log, logged(1), "other") is None


def test_an_event_is_delivered_once_however_often_it_is_said(log: SentLog) -> None:
    one = logged(1)
    log.tried("s", [one], at_ms=[1])
    log.delivered("s", [one, one])
    log.delivered("s", [one])
    assert sums(log) == {Sum("s", "acme", 500_000, State.delivered, 1, one.event.compute_us)}


def test_an_event_is_delivered_when_its_settling_is_over_and_not_before(log: SentLog) -> None:
    one = logged(1)
    log.tried("s", [one], at_ms=[1])
    log.settling("s", [one], due_at_ms=100)
    log.joins_settling("s", one.event_id, one.event.hour, Source("acme", b"9-0"))
    assert log.count_settling("s") == 2
    assert log.settled("s", now_ms=99, limit=10) == []
    assert standing(log, one) == Standing(State.settling, 1)
    assert set(log.settled("s", now_ms=100, limit=10)) == {Source("acme", b"1-0"), Source("acme", b"9-0")}
    assert standing(log, one) == Standing(State.delivered, 1)
    assert log.settled("s", now_ms=1_000, limit=10) == []


@pytest.mark.parametrize("is_settled", [False, True])
def test_a_late_report_makes_a_dead_letter_that_can_be_sent_again(log: SentLog, *, is_settled: bool) -> None:
    one = logged(1)
    log.tried("s", [one, logged(2)], at_ms=[1, 1])
    log.settling("s", [one, logged(2)], due_at_ms=100)
    if is_settled:
        log.settled("s", now_ms=100, limit=10)

    def report(event_id: str = one.event_id, times_before: int = 0) -> State | None:
        return log.reported("s", event_id, times_before=times_before, death=REPORTED, now_ms=150)

    was = report()
    assert was is (State.delivered if is_settled else State.settling)
    assert report() is State.dead
    assert report(logged(9).event_id) is None
    log.settled("s", now_ms=100, limit=10)
    (letter,) = log.dead_letters()
    assert (letter.event, letter.death.reason) == (one.event, "reported_no_meter")
    assert {(row.state, row.compute_us) for row in sums(log)} == {
        (State.delivered, logged(2).event.compute_us),
        (State.dead, one.event.compute_us),
    }
    assert log.mark_for_retry([letter]) == 1
    assert log.take_marked("s", limit=5) == [Logged(one.event_id, one.event, times_reported=1)]
    log.settling("s", [one], due_at_ms=200)
    assert list(log.dead_letters()) == []
    assert report() is State.dead, "Stripe says again what was wrong with the first"
    assert standing(log, one) == Standing(State.settling, 1)
    assert report(times_before=1) is State.settling


def test_a_dead_letter_is_taken_by_one_exporter_and_stays_until_it_is_delivered(log: SentLog) -> None:
    one = logged(1)
    log.died("s", [(one, DEATH)], now_ms=5)
    (letter,) = log.dead_letters(sink="s", org="acme")
    assert (letter.death, letter.is_to_be_retried) == (DEATH, False)
    assert list(log.dead_letters(sink="other")) == list(log.dead_letters(org="umbra")) == []
    log.mark_for_retry([letter])
    assert len(log.take_marked("s", limit=5)) == 1
    assert log.take_marked("s", limit=5) == []
    assert log.count_dead("s") == 1
    log.died("s", [(one, DEATH)], now_ms=6)
    assert log.count_dead("s") == 1
    assert standing(log, one) == Standing(State.dead, 5)


def test_what_is_old_is_forgotten_but_no_dead_letter(log: SentLog) -> None:
    old, dead, young = logged(1, hour=100), logged(2, hour=100), logged(3, hour=200)
    log.tried("s", [old, dead, young], at_ms=[1, 1, 1])
    log.delivered("s", [old, young])
    log.died("s", [(dead, DEATH)], now_ms=5)
    assert log.prune(before_hour=150) == 1
    assert standing(log, old) is None
    assert standing(log, young) == Standing(State.delivered, 1)
    assert len(list(log.dead_letters())) == 1


def test_nothing_of_a_call_that_failed_is_there(log: SentLog) -> None:
    with pytest.raises(sqlite3.Error):
        log.died("s", [(logged(1), DEATH), (logged(2), Death(None, "", may_have_arrived=False))], now_ms=5)  # type: ignore[arg-type]
    assert standing(log, logged(1)) is None
    log.died("s", [(logged(1), DEATH)], now_ms=5)
    assert log.ids("s", "acme", 500_000) == {logged(1).event_id: (State.dead, logged(1).event.compute_us)}


STEPS = st.lists(
    st.tuples(st.sampled_from(["tried", "delivered", "settling", "settled", "died", "reported"]), st.integers(0, 3)),
    max_size=12,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS)
def test_every_event_is_in_one_state_and_the_sums_say_the_same(tmp_path: Path, steps: list[tuple[str, int]]) -> None:
    """Whatever order reports, answers and deaths come in: nothing is counted twice, nothing is dropped."""
    log = SentLog(tmp_path)
    sink = f"s{len(list(sums(log)))}-{abs(hash(tuple(steps))) % 10**9}"
    known = set()
    for at_ms, (step, number) in enumerate(steps):
        one = logged(number)
        match step:
            case "tried":
                log.tried(sink, [one], at_ms=[at_ms])
                known.add(number)
            case "delivered":
                log.delivered(sink, [one])
            case "settling":
                log.settling(sink, [one], due_at_ms=at_ms)
            case "settled":
                log.settled(sink, now_ms=at_ms, limit=100)
            case "died":
                log.died(sink, [(one, DEATH)], now_ms=at_ms)
                known.add(number)
            case "reported":
                log.reported(sink, one.event_id, times_before=at_ms, death=REPORTED, now_ms=at_ms)
    found = log.ids(sink, "acme", 500_000)
    assert {logged(number).event_id for number in known} == set(found)
    by_state: dict[State, int] = {}
    for state, compute_us in found.values():
        by_state[state] = by_state.get(state, 0) + compute_us
    assert {row.state: row.compute_us for row in sums(log) if row.sink == sink} == by_state
    dead = {letter.event_id for letter in log.dead_letters(sink=sink)}
    assert {event_id for event_id, (state, _us) in found.items() if state is State.dead} == dead
    log.close()
