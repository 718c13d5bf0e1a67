"""A model's configuration at the server keeps the contract, or every mistake in it is named."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.triton.served_contract import newest_version, read_served_model, server_slots
from engines.errors import ModelRejected
from engines.model_files import ModelLimits
from engines.proto import kserve_pb2 as kserve
from tests.fakes.triton import PARAMETERS, model_config

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit


def read(config: kserve.ModelConfig, **changes: object) -> object:
    return read_served_model(config, version_at_server="7", max_slots=4, where="asr at here:1", **changes)  # type: ignore[arg-type]


def mistakes_of(config: kserve.ModelConfig, **changes: object) -> list[str]:
    with pytest.raises(ModelRejected) as rejected:
        read(config, **changes)
    assert rejected.value.path == "asr at here:1"
    return rejected.value.mistakes


def test_a_model_that_keeps_the_contract_is_read() -> None:
    served = read_served_model(model_config(), version_at_server="7", max_slots=4, where="there")
    contract = served.contract
    assert (served.features_input, served.log_probabilities_output) == ("features", "log_probabilities")
    assert (served.version_at_server, served.slots) == ("7", 16)
    assert (contract.name, contract.version, contract.language) == ("asr", "00112233aabbccdd", "en")
    assert (contract.window_frames, contract.shift_frames, contract.subsampling) == (16, 16, 8)
    assert (contract.tokens, contract.blank_id) == (("a", "b", "c", "<blk>"), 3)
    assert (contract.precision, contract.weights_bytes, contract.state_bytes) == ("fp16", 1234, 264)


def test_what_is_for_show_may_be_missing_or_nonsense() -> None:
    shown = model_config(precision=None, weights_bytes="many", state_bytes=None)
    contract = read_served_model(shown, version_at_server="7", max_slots=4, where="there").contract
    assert (contract.precision, contract.weights_bytes, contract.state_bytes) == ("fp32", 0, 0)


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (lambda config: config.ClearField("sequence_batching"), "its configuration must have sequence_batching"),
        (lambda config: setattr(config, "max_batch_size", 0), "max_batch_size must be 1 or more, not 0"),
        (
            lambda config: setattr(config.model_transaction_policy, "decoupled", True),
            "it must not be decoupled: one request, one answer",
        ),
        (
            lambda config: setattr(config.sequence_batching, "max_sequence_idle_microseconds", 1_000_000),
            "max_sequence_idle_microseconds must be 60000000 or more, not 1000000",
        ),
        (
            lambda config: setattr(config.sequence_batching.oldest, "max_candidate_sequences", 3),
            "the server advances 3 sequences of it at once, 4 slots are asked for",
        ),
        (
            lambda config: setattr(
                config.sequence_batching.control_input[0].control[0], "data_type", kserve.DataType.TYPE_STRING
            ),
            "its correlation ids must be TYPE_UINT64, not TYPE_STRING",
        ),
        (
            lambda config: config.input.add(name="length"),
            "its first input must be the features, and the only one that is required, not features, length",
        ),
        (lambda config: config.ClearField("input"), "its first input must be the features"),
        (
            lambda config: setattr(config.input[0], "data_type", kserve.DataType.TYPE_FP16),
            "its input must be TYPE_FP32 [80, 16], not TYPE_FP16 [80, 16]",
        ),
        (
            lambda config: config.input[0].dims.append(1),
            "its input must be TYPE_FP32 [80, 16], not TYPE_FP32 [80, 16, 1]",
        ),
        (
            lambda config: config.output[0].dims.append(1),
            "its first output must be TYPE_FP32 [2, 4], not TYPE_FP32 [2, 4, 1]",
        ),
        (lambda config: config.ClearField("output"), "its first output must be the log-probabilities; it has none"),
        (
            lambda config: setattr(config.parameters["model_digest"], "string_value", "latest"),
            "its parameter model_digest must be 16 hex digits, not 'latest'",
        ),
        (
            lambda config: setattr(config.parameters["tokens"], "string_value", "a 0\nb 1\nc 2\n"),
            "its parameter tokens must number its pieces 0 to 3: no 3",
        ),
        (
            lambda config: setattr(config.parameters["window_size"], "string_value", "wide"),
            "window_size must be a whole number, not 'wide'",
        ),
    ],
)
def test_a_mistake_is_named(change: Callable[[kserve.ModelConfig], object], mistake: str) -> None:
    config = model_config()
    change(config)
    assert any(found.startswith(mistake) for found in mistakes_of(config))


def test_all_mistakes_are_told_at_once() -> None:
    config = model_config(model_digest=None, vocab_size=None, window_size="0")
    config.max_batch_size = 0
    assert len(mistakes_of(config)) >= 4


@given(
    parameters=st.dictionaries(st.sampled_from(sorted(PARAMETERS)), st.none() | st.text(max_size=20)),
    batch=st.integers(-3, 3),
    idle_us=st.integers(0, (1 << 64) - 1),
    sequences=st.integers(-3, 100),
    dims=st.lists(st.integers(-2, 100), max_size=3),
)
def test_whatever_a_server_says_is_a_model_or_a_refusal(
    parameters: dict[str, str | None], batch: int, idle_us: int, sequences: int, dims: list[int]
) -> None:
    config = model_config(**parameters)
    config.max_batch_size = batch
    config.sequence_batching.max_sequence_idle_microseconds = idle_us
    config.sequence_batching.oldest.max_candidate_sequences = sequences
    config.output[0].dims[:] = dims
    with contextlib.suppress(ModelRejected):
        read(config)


def test_an_optional_input_need_not_be_sent() -> None:
    config = model_config()
    config.input.add(name="more", optional=True)
    read(config)


def test_limits_hold_for_what_a_server_says_too() -> None:
    found = mistakes_of(model_config(), limits=ModelLimits(max_vocab_size=2))
    assert "vocab_size must be 1 to 2, not 3" in found


@pytest.mark.parametrize(
    ("groups", "slots"), [([(1, [])], 16), ([(2, [])], 32), ([(2, [0, 1])], 64), ([(1, [0]), (1, [])], 32)]
)
def test_every_instance_has_its_slots(groups: list[tuple[int, list[int]]], slots: int) -> None:
    config = model_config()
    del config.instance_group[:]
    for count, gpus in groups:
        config.instance_group.add(count=count, gpus=gpus)
    assert server_slots(config) == slots


def test_the_direct_strategy_has_a_slot_for_each_row_of_a_batch() -> None:
    config = model_config()
    config.sequence_batching.direct.max_queue_delay_microseconds = 1
    assert server_slots(config) == 8


@pytest.mark.parametrize(("versions", "newest"), [(["1"], "1"), (["9", "10", "2"], "10")])
def test_the_newest_version_is_the_largest_number(versions: list[str], newest: str) -> None:
    assert newest_version(kserve.ModelMetadataResponse(versions=versions), where="there") == newest


@pytest.mark.parametrize("versions", [[], ["one"], ["1", ""]])
def test_a_model_without_a_numbered_version_is_refused(versions: list[str]) -> None:
    with pytest.raises(ModelRejected, match="must have a numbered version"):
        newest_version(kserve.ModelMetadataResponse(versions=versions), where="there")
