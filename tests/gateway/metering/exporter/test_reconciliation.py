"""Whether what was settled, recorded and delivered is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.exporter.reconciliation import HourAtSink, Verdict, differs

pytestmark = pytest.mark.unit

_US = st.integers(0, 10)


@pytest.mark.parametrize(
    ("sums", "verdict"),
    [
        (HourAtSink(), Verdict.equal),
        (HourAtSink(5, 5, 5), Verdict.equal),
        (HourAtSink(5, 5, 3, in_flight_us=2), Verdict.in_flight),
        (HourAtSink(6, 5, 5), Verdict.open),
        (HourAtSink(5, 5, 3, dead_us=2), Verdict.dead_letters),
        (HourAtSink(5, 5, 3, in_flight_us=1), Verdict.lost),
        (HourAtSink(5, 5, 6), Verdict.surplus),
        (HourAtSink(4, 5, 5), Verdict.surplus),
    ],
)
def test_each_difference_has_its_name(sums: HourAtSink, verdict: Verdict) -> None:
    assert sums.verdict is verdict


@given(settled=_US, recorded=_US, delivered=_US, in_flight=_US, dead=_US)
def test_equal_means_equal_to_the_microsecond(
    settled: int, recorded: int, delivered: int, in_flight: int, dead: int
) -> None:
    sums = HourAtSink(settled, recorded, delivered, in_flight, dead)
    assert (sums.verdict is Verdict.equal) == (settled == recorded == delivered and in_flight == dead == 0)
    if sums.verdict is Verdict.in_flight:
        assert settled == recorded == delivered + in_flight


def test_an_hour_that_goes_on_differs_only_where_waiting_does_not_help() -> None:
    assert {verdict for verdict in Verdict if differs(verdict, is_complete=False)} == {Verdict.lost, Verdict.surplus}
    assert {verdict for verdict in Verdict if not differs(verdict, is_complete=True)} == {
        Verdict.equal,
        Verdict.in_flight,
    }
