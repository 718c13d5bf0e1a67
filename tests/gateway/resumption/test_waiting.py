"""Of what is to be written only the newest of each session waits, and no more than fits."""

from __future__ import annotations

import pytest

from gateway.resumption.interface import CommitPoint
from gateway.resumption.waiting import WaitingPoints

pytestmark = pytest.mark.unit


def point(session_id: str, sample: int = 0) -> CommitPoint:
    return CommitPoint(
        session_id=session_id,
        org="acme",
        generation=1,
        committed_sample=sample,
        charged_through_sample=sample,
        epoch=1,
        model="m",
        model_version="v",
        tab_id=session_id,
    )


def test_a_newer_point_takes_the_place_of_the_older() -> None:
    waiting = WaitingPoints(10)
    for sample in range(5):
        waiting.put(point("a", sample))
    waiting.put_finished(point("b"))
    assert len(waiting) == 2
    assert waiting.take() == ([point("a", 4)], [point("b")])
    assert len(waiting) == 0


def test_what_could_not_be_written_waits_again_unless_it_is_old_by_then() -> None:
    waiting = WaitingPoints(10)
    waiting.put(point("a", 1))
    waiting.put(point("b", 1))
    points, finished = waiting.take()
    waiting.put(point("a", 2))
    waiting.put_back(points, finished)
    assert sorted(waiting.take()[0], key=lambda each: each.session_id) == [point("a", 2), point("b", 1)]


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    waiting = WaitingPoints(2)
    for name in "abc":
        waiting.put(point(name))
        waiting.put_finished(point(name))
    assert [each.session_id for each in waiting.take()[0]] == ["b", "c"]
    assert waiting.dropped == 2


def test_what_another_gateway_has_is_forgotten() -> None:
    waiting = WaitingPoints(2)
    waiting.put(point("a"))
    assert waiting.newest("a") == point("a")
    waiting.forget("a")
    assert waiting.newest("a") is None
    assert waiting.take() == ([], [])
