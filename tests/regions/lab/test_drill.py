"""A drill from its file to its report; the whole of it is in tests/scenarios/test_lab_drills.py."""

from __future__ import annotations

import pytest

from regions.lab.drill import over_webtransport, stretched, under_bundle
from regions.lab.drill_file import check_drill
from regions.lab.world_spec import ResidencySpec

pytestmark = pytest.mark.unit


def test_a_longer_drill_has_as_many_more_faults_in_the_same_density() -> None:
    drill = check_drill(
        {
            "name": "mine",
            "summary": "A test.",
            "callers": [{"seconds": 20}],
            "fault": [
                {"kind": "kill", "target": "engine/*", "times": 6, "between_s": [2, 18], "down_s": 0},
                {"kind": "kill", "target": "engine/*", "at_s": 1, "every_s": 2, "times": 3, "down_s": 0},
                {"kind": "kill", "target": "engine/*", "at_s": 4, "down_s": 0},
            ],
        }
    )
    longer = stretched(drill, 10.0)
    assert longer.callers[0].seconds == 200
    assert [(fault.times, fault.between_s, fault.at_s) for fault in longer.fault] == [
        (60, (2.0, 180.0), 0.0),
        (30, None, 1.0),
        (1, None, 4.0),
    ]
    assert stretched(drill, 1.0) == drill


def test_a_drill_under_a_bundle_is_the_same_but_for_that() -> None:
    tree = {"name": "mine", "summary": "A test.", "world": {"regions": 2}, "callers": [{}]}
    drill = check_drill(tree)
    bundled = under_bundle(drill)
    assert bundled.world.residency == ResidencySpec()
    assert bundled.model_copy(update={"world": drill.world}) == drill


def test_a_drill_over_webtransport_is_the_same_but_for_that() -> None:
    drill = check_drill({"name": "mine", "summary": "A test.", "callers": [{"count": 1}, {"count": 2}]})
    over = over_webtransport(drill)
    assert over.world.webtransport
    assert [group.protocol for group in over.callers] == ["webtransport", "webtransport"]
    assert check_drill(over.model_dump(mode="json")) == over
    assert over.model_copy(update={"world": drill.world, "callers": drill.callers}) == drill
