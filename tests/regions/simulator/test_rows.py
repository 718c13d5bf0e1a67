"""Rows of text: a column for each fleet, and no nine that was not earned."""

from __future__ import annotations

import pytest

from regions.simulator.report import report
from regions.simulator.rows import clock, fleet_rows, percent, sweep_rows
from tests.regions.simulator.comparison_world import comparison

pytestmark = pytest.mark.unit


def test_fleets_stand_side_by_side() -> None:
    table = fleet_rows(report(comparison()))
    assert table.head == ("", "all-reserved", "all-spot", "patchbay")
    of = {row[0].strip(): row[1:] for row in table.rows}
    assert of["served, of session-seconds"] == ("99.700 %", "94.700 %", "99.699 %")
    assert of["economy"] == ("90.000 %",) * 3
    assert of["cost, of all reserved"] == ("100.0 %", "45.0 %", "55.0 %")
    assert of["moved ahead, no gap"] == ("1,234",) * 3
    assert of["pause p99"] == ("1,200 ms",) * 3
    assert of["worst region"] == ("eu-west 75.000 %",) * 3
    assert of["worst moment"] == ("00:05: 75.000 %",) * 3
    assert of["outside the policy set"] == ("0",) * 3


def test_a_sweep_has_a_row_for_each_value() -> None:
    table = sweep_rows(report(comparison()))
    assert table is not None
    assert table.head == ("spot.correlation_permille", "patchbay")
    assert [row[0] for row in table.rows] == ["0", "1000"]
    assert table.rows[1] == ("1000", "98.999 % at 55.0 %")
    assert sweep_rows(report(comparison(sweep=None))) is None


@pytest.mark.parametrize(
    ("permille", "shown"), [(999.9999, "99.999 %"), (999.5, "99.950 %"), (1_000.0, "100.000 %"), (None, "nobody")]
)
def test_shares_are_cut_off_and_not_rounded_up(permille: float | None, shown: str) -> None:
    assert percent(permille) == shown


def test_times_are_of_the_day() -> None:
    assert (clock(14.083), clock(38.5)) == ("14:05", "day 2, 14:30")
