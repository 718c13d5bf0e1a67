"""The configuration is what Triton reads, and says everything that an engine asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.triton.entry_config import (
    EntryOptions,
    EntryTensors,
    StateTensor,
    TritonRuntime,
    entry_config,
    version_number,
)
from engines.backends.triton.served_contract import read_served_model
from engines.proto import kserve_pb2 as kserve
from tests.fakes.triton import PARAMETERS, model_config

if TYPE_CHECKING:
    from engines.contract import ModelContract

pytestmark = pytest.mark.unit

TENSORS = EntryTensors("features", "log_probabilities")


def contract() -> ModelContract:
    return read_served_model(model_config(), version_at_server="7", max_slots=1, where="there").contract


def parsed(text: str) -> kserve.ModelConfig:
    """Read it as Triton does, but for fields that our part of its schema does not name."""
    config = kserve.ModelConfig()
    text_format.Parse(text, config, allow_unknown_field=True)
    return config


def test_an_engine_accepts_what_is_written() -> None:
    options = EntryOptions(sequences=20, max_batch=10, instances=2)
    config = parsed(entry_config("asr", contract(), options, TENSORS, PARAMETERS))
    served = read_served_model(config, version_at_server="7", max_slots=40, where="there")
    assert served.contract == contract()
    assert (config.backend, config.max_batch_size, served.slots) == ("python", 10, 40)
    controls = [given.name for given in config.sequence_batching.control_input]
    assert controls == ["START", "END", "READY", "CORRID"]


def test_with_states_triton_keeps_them_and_the_model_is_told_nothing() -> None:
    states = (StateTensor("before", "after", "TYPE_FP16", (2, 3)),)
    options = EntryOptions(runtime=TritonRuntime.onnxruntime, gpu=1)
    text = entry_config("asr", contract(), options, EntryTensors("x", "y", states), PARAMETERS)
    config = parsed(text)
    assert (config.backend, list(config.instance_group[0].gpus)) == ("onnxruntime", [1])
    assert list(config.sequence_batching.control_input) == []
    assert 'state { input_name: "before" output_name: "after" data_type: TYPE_FP16 dims: [2, 3]' in text
    assert "zero_data: true" in text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_from_the_configuration(text: str) -> None:
    written = entry_config("asr", contract(), EntryOptions(), TENSORS, {"comment": text})
    assert written.isascii()
    assert parsed(written).parameters["comment"].string_value == text


def test_the_version_folder_is_a_number_that_triton_can_read_and_that_names_the_digest() -> None:
    number = version_number(contract())
    assert f"{int(number):015x}" == "00112233aabbccdd"[:15]
    assert 0 < int(number) < 1 << 60
