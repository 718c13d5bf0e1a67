"""A model that breaks the contract is refused with every mistake, and nothing else ever comes out of the check."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from engines.errors import ModelRejected
from engines.model_files import ModelLimits, check_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.unit

Toy = Any


def mistakes_of(path: Path, **limits: int) -> list[str]:
    with pytest.raises(ModelRejected) as rejected:
        check_model(path, limits=ModelLimits(**limits))
    return rejected.value.mistakes


def test_the_embedded_model_keeps_the_contract(embedded_model: Path) -> None:
    contract = check_model(embedded_model)
    digest = hashlib.sha256((embedded_model / "model.onnx").read_bytes()).hexdigest()
    assert contract.version == digest[:16]
    assert contract.name == "embedded"
    assert len(contract.tokens) == contract.vocab_size + 1
    assert contract.tokens[contract.blank_id] == "<blk>"


def test_a_model_says_what_it_is(toy_model: Toy, tmp_path: Path) -> None:
    contract = check_model(toy_model.saying(language="en-US").write(tmp_path / "toy"))
    assert contract.name == "toy"
    assert contract.language == "en-US"
    assert (contract.window_frames, contract.shift_frames, contract.subsampling) == (16, 16, 8)
    assert (contract.feature_dim, contract.vocab_size, contract.blank_id) == (80, 7, 7)
    assert (contract.cache_channel_shape, contract.cache_time_shape) == ((2, 3, 4), (2, 4, 5))
    assert contract.tokens == ("<unk>", "\u2581one", "\u2581two", "n", " ", "\u2581", "ty", "<blk>")


def test_an_onnx_file_may_be_named_directly(toy_model: Toy, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    (folder / "model.onnx").rename(folder / "quick.onnx")
    assert check_model(folder / "quick.onnx").name == "quick"


def test_a_model_may_leave_its_language_open(toy_model: Toy, tmp_path: Path) -> None:
    assert check_model(toy_model.write(tmp_path)).language == ""


@pytest.mark.parametrize(
    ("metadata", "mistake"),
    [
        ({"window_size": None}, "its metadata must give window_size"),
        ({"window_size": "thirty"}, "window_size must be a whole number, not 'thirty'"),
        ({"window_size": "16.0"}, "window_size must be a whole number, not '16.0'"),
        ({"window_size": "٣٩"}, "window_size must be a whole number, not '٣٩'"),
        ({"window_size": "4097"}, "window_size must be 1 to 4096, not 4097"),
        ({"chunk_shift": "0"}, "chunk_shift must be 1 to 4096, not 0"),
        ({"chunk_shift": "-16"}, "chunk_shift must be 1 to 4096, not -16"),
        ({"chunk_shift": "24"}, "chunk_shift must be at most window_size, 16, not 24"),
        ({"subsampling_factor": "5"}, "chunk_shift must be a multiple of subsampling_factor, 5, not 16"),
        ({"vocab_size": "200001"}, "vocab_size must be 1 to 200000, not 200001"),
        ({"cache_last_time_dim2": ""}, "cache_last_time_dim2 must be a whole number, not ''"),
        ({"sample_rate": "8000"}, "sample_rate must be 16000, not '8000'"),
        ({"feature_window": "povey"}, "feature_window must be hann, not 'povey'"),
        ({"feature_preemph": "0.9"}, "feature_preemph must be 0.97, not '0.9'"),
        (
            {"normalize_type": "per_feature"},
            "normalize_type must be empty or NA in a streaming model, not 'per_feature'",
        ),
        ({"language": "English!"}, "language must be a BCP 47 tag such as en or en-US, not 'English!'"),
    ],
)
def test_metadata_is_held_against_the_contract(
    toy_model: Toy, tmp_path: Path, metadata: dict[str, str | None], mistake: str
) -> None:
    assert mistake in mistakes_of(toy_model.saying(**metadata).write(tmp_path))


def test_all_mistakes_are_told_at_once(toy_model: Toy, tmp_path: Path) -> None:
    broken = toy_model.saying(window_size=None, chunk_shift="many", sample_rate="44100").but(tokens="one 0\n")
    assert mistakes_of(broken.write(tmp_path)) == [
        "its metadata must give window_size",
        "chunk_shift must be a whole number, not 'many'",
        "tokens.txt must number its pieces 0 to 7: no 1, 2, 3, 4, 5 and 2 more",
        "tokens.txt must name the blank, one of <blk>, <eps>, <blank>",
        "sample_rate must be 16000, not '44100'",
    ]


def test_caches_beyond_the_limit_are_refused_before_they_are_allocated(toy_model: Toy, tmp_path: Path) -> None:
    huge = toy_model.saying(cache_last_channel_dim1="60000000", cache_last_channel_dim2="60000000")
    found = mistakes_of(huge.write(tmp_path))
    assert found == ["its caches take 57600000000000160 bytes a stream, at most 67108864 are allowed"]


def test_metadata_that_is_given_twice_is_refused(
    toy_model: Toy, tmp_path: Path, make_proto_field: Callable[..., bytes]
) -> None:
    folder = toy_model.write(tmp_path)
    again = make_proto_field(14, make_proto_field(1, "window_size") + make_proto_field(2, "39"))
    with (folder / "model.onnx").open("ab") as file:
        file.write(again)
    assert mistakes_of(folder) == ["its metadata gives 'window_size' more than once"]


def test_metadata_that_is_not_text_is_refused(toy_model: Toy, tmp_path: Path) -> None:
    assert mistakes_of(toy_model.saying(comment=b"\xff\xfe").write(tmp_path))


def test_inputs_are_bound_by_position_so_a_dropped_one_is_noticed(toy_model: Toy, tmp_path: Path) -> None:
    (found,) = mistakes_of(toy_model.but(has_length=False).write(tmp_path))
    assert found.startswith("it must have 5 inputs")


def test_operators_that_need_foreign_code_are_refused(
    toy_model: Toy, tmp_path: Path, make_node: Callable[..., bytes]
) -> None:
    foreign = (make_node("Speak", ["m"], ["logprobs"], domain="com.example"),)
    found = mistakes_of(toy_model.but(log_probabilities=foreign, opset_domains=("", "com.example")).write(tmp_path))
    assert found == ["it uses operators of the domain 'com.example'; only ONNX's and ONNX Runtime's own are allowed"]


def test_an_operator_that_does_not_exist_is_refused(
    toy_model: Toy, tmp_path: Path, make_node: Callable[..., bytes]
) -> None:
    (found,) = mistakes_of(toy_model.but(log_probabilities=(make_node("Speak", ["m"], ["logprobs"]),)).write(tmp_path))
    assert found.startswith("ONNX Runtime cannot load it")


@pytest.mark.parametrize("location", ["../weights.bin", "link.bin", "/etc/hostname", "missing.bin", ".", ""])
def test_weights_outside_the_models_folder_are_never_opened(
    toy_model: Toy, tmp_path: Path, make_external_tensor: Callable[..., bytes], location: str
) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(4 * 640 * 8))
    weights = make_external_tensor("w", (640, 8), location)
    folder = toy_model.but(weights=weights).write(tmp_path / "toy")
    (folder / "link.bin").symlink_to("../weights.bin")
    assert mistakes_of(folder) == [f"its weights in {location!r} must be a file inside the model's folder"]


def test_weights_beside_the_model_are_part_of_its_version(
    toy_model: Toy, tmp_path: Path, make_external_tensor: Callable[..., bytes]
) -> None:
    folder = toy_model.but(weights=make_external_tensor("w", (640, 8), "weights.bin")).write(tmp_path)
    (folder / "weights.bin").write_bytes(bytes(4 * 640 * 8))
    version = check_model(folder).version
    (folder / "weights.bin").write_bytes(b"\0\0\0\x3f" * (640 * 8))
    assert check_model(folder).version != version


def test_a_file_beyond_the_limit_is_not_read(toy_model: Toy, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    size = (folder / "model.onnx").stat().st_size
    check_model(folder, limits=ModelLimits(max_file_bytes=size))
    assert mistakes_of(folder, max_file_bytes=size - 1) == [f"it has {size} bytes, at most {size - 1} are allowed"]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop.onnx"
    loop.symlink_to(loop)
    for path in (tmp_path, tmp_path / "nowhere", loop, tmp_path / "null\0byte"):
        with pytest.raises(ModelRejected):
            check_model(path)


def test_a_missing_tokens_file_is_refused(toy_model: Toy, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    (folder / "tokens.txt").unlink()
    (found,) = mistakes_of(folder)
    assert found.startswith("tokens.txt must be readable beside the model")


def check_gives_a_contract_or_a_refusal(folder: Path, onnx: bytes) -> None:
    (folder / "model.onnx").write_bytes(onnx)
    mistakes = ["none was found"]
    try:
        check_model(folder)
    except ModelRejected as rejected:
        mistakes = rejected.mistakes
    assert mistakes


@pytest.mark.parametrize("seed", range(60))
def test_fuzz_random_bytes_are_refused(toy_model: Toy, tmp_path: Path, seed: int) -> None:
    folder = toy_model.write(tmp_path)
    dice = random.Random(seed)
    (folder / "model.onnx").write_bytes(dice.randbytes(dice.randrange(400)))
    assert mistakes_of(folder)


@pytest.mark.parametrize("seed", range(60))
def test_fuzz_a_cut_off_model_is_a_contract_or_a_refusal(toy_model: Toy, tmp_path: Path, seed: int) -> None:
    onnx = toy_model.onnx()
    check_gives_a_contract_or_a_refusal(toy_model.write(tmp_path), onnx[: random.Random(seed).randrange(len(onnx))])


@pytest.mark.parametrize("seed", range(150))
def test_fuzz_a_damaged_model_is_a_contract_or_a_refusal(toy_model: Toy, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    onnx = bytearray(toy_model.onnx())
    # The weights fill the middle; the structure lies at both ends.
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(400) if dice.random() < 0.5 else len(onnx) - 1 - dice.randrange(900)
        onnx[at] = dice.randrange(256)
    check_gives_a_contract_or_a_refusal(toy_model.write(tmp_path), bytes(onnx))


@pytest.mark.parametrize("seed", range(100))
def test_fuzz_metadata_is_a_contract_or_a_refusal(toy_model: Toy, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    metadata = dict(toy_model.metadata)
    for _ in range(dice.randrange(1, 4)):
        key = dice.choice([*metadata, "feature_dim", "sample_rate", "language", "feature_dither"])
        metadata[key] = dice.choice(
            ["", "0", "1", "-1", "7", "8", "16", "80", "999999999999", "1e3", "nan", " 16", "\0", "x" * 1_000, "१६"]
        )
    check_gives_a_contract_or_a_refusal(toy_model.write(tmp_path), toy_model.but(metadata=metadata).onnx())
