"""What the lab looks at while a drill runs."""

from __future__ import annotations

from typing import cast

import pytest

from regions.lab.watch import EngineWatch, sum_metrics

pytestmark = pytest.mark.unit

PAGE = """\
# HELP patchbay_sessions Live sessions.
# TYPE patchbay_sessions gauge
patchbay_sessions 3.0
patchbay_placements_total{region="west",result="granted"} 5.0
patchbay_placements_total{region="east",result="granted"} 2.0
process_cpu_seconds_total 12.0
patchbay_wait_seconds_bucket{le="+Inf"} 1e+03
"""


def test_metrics_are_summed_over_their_labels() -> None:
    assert sum_metrics(PAGE) == {
        "patchbay_sessions": 3.0,
        "patchbay_placements_total": 7.0,
        "patchbay_wait_seconds_bucket": 1_000.0,
    }


def test_the_fullest_look_at_each_engine_counts() -> None:
    watch = EngineWatch(cast("None", None))  # it looks at nothing here
    for used in (3, 9, 4):
        watch.note("engine/west/reserved-1", used=used, total=8)
    watch.note("engine/west/reserved-2", used=8, total=8)
    assert watch.most_used["engine/west/reserved-1"] == (9, 8)
    assert watch.overloaded == ["engine/west/reserved-1"]
