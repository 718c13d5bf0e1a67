"""A rate of answers to strangers."""

from __future__ import annotations

import pytest

from gateway.webtransport.quic.answer_rate import AnswerRate

pytestmark = pytest.mark.unit


def test_a_second_gives_its_number_and_no_more() -> None:
    rate = AnswerRate(3)
    assert [rate.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert rate.has_left(10.1) is False
    assert rate.take(10.1) is False
    assert rate.has_left(10.34) is True
    assert rate.take(10.34) is True
    assert [rate.take(99.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_stands_still_gives_nothing_back() -> None:
    rate = AnswerRate(1)
    assert (rate.take(5.0), rate.take(5.0), rate.take(4.0)) == (True, False, False)
