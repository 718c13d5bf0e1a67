"""Plots: each is a PNG that a page can hold. Whether they can be read is for people to look at."""

from __future__ import annotations

import sys

import pytest

from regions.simulator.plots import PlotsMissing, plots
from tests.regions.simulator.comparison_world import comparison

pytestmark = pytest.mark.unit


def test_everything_is_drawn_small_enough_for_a_page() -> None:
    drawn = plots(comparison())
    assert [plot.name for plot in drawn] == ["cost", "capacity", "served", "sweep"]
    assert all(plot.png.startswith(b"\x89PNG") and len(plot.png) < 150_000 for plot in drawn)


def test_who_has_no_matplotlib_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlotsMissing, match=r"patchbay\[simulate\]"):
        plots(comparison())
