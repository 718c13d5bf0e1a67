"""A transducer's folder is refused with every mistake that it has, and never half read."""

from __future__ import annotations

import contextlib
import random
import shutil
from typing import TYPE_CHECKING

import onnx
import pytest

from engines.contract import KALDI_FRONT_END
from engines.errors import ModelRejected
from engines.transducers.files import TransducerLimits, check_transducer, find_transducer_files, has_transducer
from tests.models.transducer_parts import Joint
from tests.models.zipformer_transducer import ZipformerTransducer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ZipformerTransducer().write(tmp_path_factory.mktemp("sound") / "en-small")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(sound, tmp_path / "en-small")


def mistakes_of(folder: Path, **limits: int) -> list[str]:
    with pytest.raises(ModelRejected) as rejected:
        check_transducer(folder, limits=TransducerLimits(**limits))
    return list(rejected.value.mistakes)


def say(file: Path, **metadata: str | None) -> None:
    """Change single entries of a file's metadata; None leaves one out."""
    model = onnx.load(file)
    said = {entry.key: entry.value for entry in model.metadata_props} | metadata
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in said.items() if value is not None})
    onnx.save(model, file)


def test_a_sound_folder_says_what_it_is(sound: Path) -> None:
    contract = check_transducer(sound)
    assert (contract.name, contract.kind, contract.language) == ("en-small", "zipformer2", "")
    assert (contract.window_frames, contract.shift_frames, contract.subsampling) == (45, 32, 4)
    assert (contract.vocab_size, contract.blank_id, contract.unknown_id) == (59, 0, 2)
    assert (contract.context_size, contract.joiner_dim, len(contract.states)) == (2, 40, 20)
    assert contract.front_end == KALDI_FRONT_END
    assert len(contract.tokens) == 60


def test_every_kind_is_accepted(transducer: Path) -> None:
    assert check_transducer(transducer).kind == transducer.name.split("-")[0]


def test_a_version_names_all_three_files(sound: Path, folder: Path) -> None:
    before = check_transducer(sound).version
    assert check_transducer(folder).version == before
    say(folder / "joiner.onnx", comment="another")
    assert check_transducer(folder).version != before


def test_the_names_of_icefalls_exports_are_found(folder: Path) -> None:
    for part in ("encoder", "decoder", "joiner"):
        file = folder / f"{part}.onnx"
        shutil.copy(file, folder / f"{part}-epoch-99-avg-1.int8.onnx")
        file.rename(folder / f"{part}-epoch-99-avg-1.onnx")
    assert [file.name for file in find_transducer_files(folder)] == [
        f"{part}-epoch-99-avg-1.onnx" for part in ("encoder", "decoder", "joiner")
    ]


def test_two_files_that_may_be_meant_are_one_too_many(folder: Path) -> None:
    (folder / "encoder.onnx").rename(folder / "encoder-epoch-9.onnx")
    shutil.copy(folder / "encoder-epoch-9.onnx", folder / "encoder-epoch-10.onnx")
    (folder / "decoder.onnx").unlink()
    clear, missing = mistakes_of(folder)
    assert "encoder-epoch-10.onnx, encoder-epoch-9.onnx" in clear
    assert "decoder" in missing


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "not a folder" in mistakes_of(tmp_path / "none")[0]
    assert not has_transducer(tmp_path / "none")


def test_mistakes_in_several_files_are_told_at_once(folder: Path) -> None:
    say(folder / "encoder.onnx", T=None, num_heads="4", language="not a language")
    say(folder / "decoder.onnx", context_size="none")
    (folder / "tokens.txt").write_text("<blk> 0\n")
    found = "\n".join(mistakes_of(folder))
    for part in ("must give T", "one number for each stack", "BCP 47", "context_size", "tokens.txt"):
        assert part in found


@pytest.mark.parametrize(
    ("file", "changed", "mistake"),
    [
        ("encoder.onnx", {"decode_chunk_len": "30"}, "multiple of 4"),
        ("encoder.onnx", {"decode_chunk_len": "48"}, "at most T, 45"),
        ("encoder.onnx", {"T": "44"}, "input 1, the features, must have 44 on axis 1, not 45"),
        ("encoder.onnx", {"left_context_len": "12,8"}, "cached_key_0"),
        ("encoder.onnx", {"num_encoder_layers": "1,1"}, "it must have 15 inputs"),
        ("encoder.onnx", {"sample_rate": "8000"}, "sample_rate"),
        ("encoder.onnx", {"model_type": None}, "model_type must be"),
        ("decoder.onnx", {"context_size": "3"}, "decoder: input 1, the last pieces"),
        ("decoder.onnx", {"vocab_size": "61"}, "joiner: output 1, a value for each piece, must have 61"),
        ("decoder.onnx", {"vocab_size": "64"}, "tokens.txt must number its pieces 0 to 63"),
        ("joiner.onnx", {"joiner_dim": "41"}, "joiner: input 1"),
    ],
)
def test_what_a_file_says_wrongly_is_told(
    folder: Path, file: str, changed: dict[str, str | None], mistake: str
) -> None:
    say(folder / file, **changed)
    assert mistake in "\n".join(mistakes_of(folder))


def test_sizes_are_held_against_limits_before_anything_is_laid_out(folder: Path) -> None:
    assert "at most 8" in mistakes_of(folder, max_file_bytes=8)[0]
    assert "T must be 1 to 40, not 45" in "\n".join(mistakes_of(folder, max_window_frames=40))
    say(folder / "encoder.onnx", encoder_dims="60000,60000", left_context_len="60000,60000")
    assert "its states take" in "\n".join(mistakes_of(folder))


def test_a_batch_of_one_is_refused(tmp_path: Path) -> None:
    folder = ZipformerTransducer(has_open_batch=False).write(tmp_path)
    assert "must leave its batch open" in mistakes_of(folder)[0]


def test_bytes_that_are_no_model_are_refused(folder: Path) -> None:
    (folder / "decoder.onnx").write_bytes(b"no model")
    assert mistakes_of(folder)[0].startswith("decoder: it is not an ONNX file")


def test_the_blank_must_be_the_first_piece(tmp_path: Path) -> None:
    folder = ZipformerTransducer(joint=Joint(vocab_size=20)).write(tmp_path)
    lines = (folder / "tokens.txt").read_text().replace("<blk> 0", "<sos/eos> 0").replace("<sos/eos> 1", "<blk> 1")
    (folder / "tokens.txt").write_text(lines)
    assert "the number 0" in "\n".join(mistakes_of(folder))


@pytest.mark.parametrize("part", ["encoder", "decoder", "joiner"])
@pytest.mark.parametrize("seed", range(5))
def test_files_that_are_damaged_anywhere_are_refused_or_run(folder: Path, part: str, seed: int) -> None:
    dice = random.Random(f"{part}{seed}")
    file = folder / f"{part}.onnx"
    content = bytearray(file.read_bytes())
    for _ in range(dice.randrange(1, 4)):
        content[dice.randrange(len(content))] = dice.randrange(256)
    file.write_bytes(content[: dice.randrange(len(content))] if seed % 2 else content)
    with contextlib.suppress(ModelRejected):
        check_transducer(folder)
