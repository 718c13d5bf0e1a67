"""An entry holds all that Triton and an engine need, replaces the one before, and is never there by half."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import text_format

from engines.backends.triton import served_model
from engines.backends.triton.entry_config import EntryOptions, TritonRuntime, version_number
from engines.backends.triton.repository import main, write_entry
from engines.backends.triton.served_contract import read_served_model
from engines.errors import ModelRejected
from engines.model_files import check_model
from engines.onnx_session import open_session
from engines.proto import kserve_pb2 as kserve

if TYPE_CHECKING:
    from engines.backends.triton.served_contract import ServedModel

pytestmark = pytest.mark.unit


@pytest.fixture
def toy(toy_model: Any, tmp_path: Path) -> Path:
    written: Path = toy_model.write(tmp_path / "toy")
    return written


def served(entry: Path) -> ServedModel:
    config = kserve.ModelConfig()
    text_format.Parse((entry / "config.pbtxt").read_text(), config, allow_unknown_field=True)
    return read_served_model(config, version_at_server="1", max_slots=1, where=str(entry))


@pytest.mark.parametrize("runtime", list(TritonRuntime))
def test_an_engine_reads_back_the_contract_of_the_file(toy: Path, tmp_path: Path, runtime: TritonRuntime) -> None:
    entry = write_entry(toy, tmp_path / "repository", EntryOptions(runtime=runtime))
    assert served(entry).contract == check_model(toy)


def test_for_python_the_file_lies_there_as_it_is_beside_what_runs_it(toy: Path, tmp_path: Path) -> None:
    entry = write_entry(toy, tmp_path / "repository", EntryOptions(), name="asr")
    (version,) = [folder for folder in entry.iterdir() if folder.is_dir()]
    assert (entry.name, version.name) == ("asr", version_number(check_model(toy)))
    assert (version / "model.onnx").read_bytes() == (toy / "model.onnx").read_bytes()
    assert (version / "model.py").read_text() == Path(served_model.__file__).read_text()


def test_for_onnx_runtime_the_file_is_rewritten(toy: Path, tmp_path: Path) -> None:
    entry = write_entry(toy, tmp_path / "repository", EntryOptions(runtime=TritonRuntime.onnxruntime))
    (model_file,) = entry.glob("*/*")
    names = {given.name for given in open_session(model_file, threads=1).get_inputs()}
    text = (entry / "config.pbtxt").read_text()
    assert all(f'input_name: "{name}"' in text for name in names - {served(entry).features_input})


def test_an_entry_that_is_there_is_replaced_whole(toy: Path, toy_model: Any, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    entry = write_entry(toy, repository, EntryOptions(), name="asr")
    (entry / "stray").touch()
    other = toy_model.saying(language="de").write(tmp_path / "other")
    assert write_entry(other, repository, EntryOptions(), name="asr") == entry
    assert sorted(path.name for path in entry.iterdir()) == [version_number(check_model(other)), "config.pbtxt"]
    assert [path.name for path in repository.iterdir()] == ["asr"]


def test_a_model_that_breaks_the_contract_leaves_no_entry(toy_model: Any, tmp_path: Path) -> None:
    broken = toy_model.saying(window_size=None).write(tmp_path / "broken")
    with pytest.raises(ModelRejected):
        write_entry(broken, tmp_path / "repository", EntryOptions())
    assert not (tmp_path / "repository").exists()


def test_the_command_writes_an_entry_and_prints_its_place(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(toy), str(tmp_path / "repository"), "--name", "asr", "--sequences", "9", "--instances", "2"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'repository' / 'asr'}\n"
    assert served(tmp_path / "repository" / "asr").slots == 18


def test_the_command_names_every_mistake_and_ends_with_65(
    toy_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = toy_model.saying(window_size=None, chunk_shift="0").write(tmp_path / "broken")
    assert main([str(broken), str(tmp_path / "repository")]) == 65
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_repository_that_cannot_be_written_ends_with_73(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([str(toy), str(tmp_path / "file")]) == 73
    assert "cannot be written" in capsys.readouterr().err
