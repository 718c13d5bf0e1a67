"""Phases within phases are told in depth, and a build can be given up."""

from __future__ import annotations

import pytest

from engines.backends.tensorrt.progress import BuildProgress, Phase

pytestmark = pytest.mark.unit


def test_phases_are_nested_and_end() -> None:
    told: list[tuple[Phase, ...]] = []
    progress = BuildProgress(told.append)
    progress.started("a", None, 2)
    progress.started("b", "a", 3)
    assert progress.step_done("b", 2)
    assert progress.step_done("b", 0)
    assert told[-1] == (Phase("a", 0, 0, 2), Phase("b", 1, 3, 3))
    progress.finished("b")
    progress.finished("unknown")
    assert told[-1] == (Phase("a", 0, 0, 2),)


def test_a_stopped_build_is_told_so_at_its_next_step() -> None:
    progress = BuildProgress(lambda _phases: None)
    progress.stop()
    assert not progress.step_done("a", 0)
