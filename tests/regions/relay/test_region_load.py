"""Promises of a region's load: the sum of its engines'."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import LoadReport, ModelLoad
from regions.relay.region_load import region_load

pytestmark = pytest.mark.unit


def report(*models: ModelLoad, is_draining: bool = False, queued_audio_ms: int = 0) -> LoadReport:
    return LoadReport(
        pool="p",
        models=models,
        slots_total=sum(model.slots_total for model in models),
        slots_used=sum(model.slots_used for model in models),
        queued_audio_ms=queued_audio_ms,
        step_p50_us=10,
        busy_permille=20,
        is_draining=is_draining,
    )


def model(version: str, total: int, used: int, *, is_leaving: bool = False) -> ModelLoad:
    return ModelLoad(name="m", version=version, slots_total=total, slots_used=used, is_leaving=is_leaving)


def test_versions_are_summed_each_for_itself() -> None:
    load = region_load(
        "r",
        [
            report(model("1", 4, 1), model("2", 2, 2), queued_audio_ms=30),
            report(model("1", 8, 3, is_leaving=True), queued_audio_ms=50),
        ],
        is_draining=False,
    )
    assert load.models == (model("1", 12, 4), model("2", 2, 2))
    assert (load.pool, load.slots_total, load.slots_used, load.queued_audio_ms) == ("r", 14, 6, 80)


def test_slots_of_an_engine_that_drains_are_not_promised() -> None:
    load = region_load("r", [report(model("1", 4, 1), is_draining=True), report(model("1", 2, 0))], is_draining=False)
    assert load.models == (model("1", 2, 0),)
    assert load.slots_total == 2


def test_a_region_without_engines_has_nothing_to_give_and_is_there() -> None:
    load = region_load("r", [], is_draining=True)
    assert (load.models, load.slots_total, load.is_draining) == ((), 0, True)


@given(st.lists(st.lists(st.builds(model, st.sampled_from("123"), st.integers(0, 9), st.integers(0, 9)), max_size=3)))
def test_the_models_together_have_the_slots_of_all_engines(engines: list[list[ModelLoad]]) -> None:
    load = region_load("r", [report(*models) for models in engines], is_draining=False)
    assert sum(model.slots_total for model in load.models) == load.slots_total
    assert sum(model.slots_used for model in load.models) == load.slots_used
