"""How far ahead one had to look."""

from __future__ import annotations

import pytest

from engines.text.tape import Tape

pytestmark = pytest.mark.unit


def test_the_furthest_look_is_remembered() -> None:
    tape = Tape(["one", "two", "three"])
    assert (tape.peek(1), tape.peek(0), tape.seen) == ("two", "one", 1)


def test_looking_behind_the_end_counts_as_seeing_it() -> None:
    tape = Tape(["one"])
    assert (tape.peek(7), tape.seen) == ("", 1)


def test_looking_back_is_not_looking_ahead() -> None:
    tape = Tape(["one", "two"])
    assert (tape.before(1), tape.before(0), tape.seen) == ("one", "", -1)
