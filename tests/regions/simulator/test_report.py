"""The report in JSON: whole, stable, and true to its results."""

from __future__ import annotations

import json

import pytest

from regions.simulator.report import report
from tests.regions.simulator.comparison_world import comparison

pytestmark = pytest.mark.unit


def test_the_report_says_what_was_asked_and_what_came_of_each_fleet() -> None:
    told = report(comparison())
    assert told["format"] == 1
    assert told["scenario"]["strikes"] == [
        {"kind": "lose_region", "region": "eu-west", "at_hours": 14.0, "for_hours": 1.0}
    ]
    assert [(fleet["fleet"], fleet["served_permille"], fleet["cost_permille"]) for fleet in told["fleets"]] == [
        ("all-reserved", 997.0, 1_000.0),
        ("all-spot", 947.0, 450.0),
        ("patchbay", 996.9996, 550.0),
    ]
    assert told["fleets"][0]["worst_region"] == {"region": "eu-west", "served_permille": 750.0}
    assert told["fleets"][0]["worst_moment"] == {
        "at_hours": 0.083,
        "wanted": 40,
        "served": 30,
        "served_permille": 750.0,
    }
    assert "series" not in told["fleets"][0]


def test_the_target_is_met_only_by_enough_service_at_little_enough_cost() -> None:
    told = report(comparison(spot={"correlation_permille": 0}, target={"served_permille": 999.5}))
    assert {fleet["fleet"]: fleet["meets_target"] for fleet in told["fleets"]} == {
        "all-reserved": False,
        "all-spot": False,
        "patchbay": True,
    }
    assert [point["fleets"][0]["meets_target"] for point in told["sweep"]["points"]] == [True, False]


def test_the_series_is_there_for_who_asks() -> None:
    assert len(report(comparison(), has_series=True)["fleets"][0]["series"]) == 3


def test_the_same_comparison_is_the_same_text() -> None:
    first, second = (json.dumps(report(comparison(), has_series=True)) for _ in range(2))
    assert first == second
    assert json.loads(first)["fleets"][2]["sessions"]["moved_ahead"] == 1_234


def test_no_sweep_is_told_where_there_was_none() -> None:
    assert "sweep" not in report(comparison(sweep=None))
