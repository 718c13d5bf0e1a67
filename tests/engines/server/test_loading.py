"""Promises of loading models."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.contract import BackendSettings
from engines.errors import ModelRejected
from engines.recognition.scripted import Script
from engines.server.loading import ModelLoading, PathNotAllowed

pytestmark = pytest.mark.unit

MODELS = Path(__file__).parents[3] / "engines" / "models"


def loading(*folders: Path, script: Script | None = None, max_batch: int = 0) -> ModelLoading:
    return ModelLoading(
        backend=BackendSettings(max_slots=4),
        script=script,
        max_batch=max_batch,
        skips_silence=True,
        allowed_folders=folders,
    )


def test_a_model_is_checked_and_rehearsed_before_anybody_gets_it() -> None:
    loaded = loading(max_batch=2).load(MODELS / "embedded")
    assert (loaded.recogniser.model, loaded.recogniser.max_slots) == ("embedded", 4)
    assert [entry.batch for entry in loaded.step_times] == [1, 2]
    assert loaded.path == str(MODELS / "embedded")
    loaded.recogniser.shut_down()


def test_later_models_come_from_the_allowed_folders_with_as_many_slots_as_they_are_given() -> None:
    loaded = loading(MODELS).load_later(str(MODELS / "embedded"), slots=2)
    assert loaded.recogniser.max_slots == 2
    loaded.recogniser.shut_down()


@pytest.mark.parametrize("path", ["/etc/passwd", "", "../..", str(MODELS / ".." / "server")])
def test_a_path_outside_is_refused_before_it_is_read(path: str) -> None:
    with pytest.raises(PathNotAllowed):
        loading(MODELS).load_later(path, slots=0)


def test_a_link_out_of_an_allowed_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "inside").symlink_to(MODELS / "embedded")
    with pytest.raises(PathNotAllowed):
        loading(tmp_path / "models").load_later(str(tmp_path / "models" / "inside"), slots=0)


def test_an_engine_that_was_allowed_nothing_loads_nothing_later() -> None:
    with pytest.raises(PathNotAllowed, match="nowhere"):
        loading().load_later(str(MODELS / "embedded"), slots=0)


def test_what_is_no_model_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected):
        loading(tmp_path).load_later(str(tmp_path), slots=0)


def test_a_scripted_model_has_no_files() -> None:
    loaded = loading(script=Script()).load("anything")
    assert (loaded.recogniser.model, loaded.path) == ("scripted", "")
