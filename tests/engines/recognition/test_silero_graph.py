"""The network made of Silero's weights says what Silero's own file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.onnx_session import open_session
from engines.proto import onnx_graph_pb2 as onnx
from engines.recognition.silero_graph import WeightsMissing, network_of
from engines.recognition.voice_activity import SileroVoiceActivity, find_silero_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engines.contract import FloatArray

pytestmark = pytest.mark.unit


def said_by_the_package(windows: FloatArray) -> list[float]:
    """Read windows one by one with the package's own file, as its own code does."""
    session = open_session(find_silero_model(), threads=1)
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
    said = []
    for window in windows:
        audio = np.concatenate((context, window))[None]
        given = {"input": audio, "state": state, "sr": np.array(16_000, np.int64)}
        speech, state = session.run(["output", "stateN"], given)
        said.append(float(speech[0, 0]))
        context = window[-64:]
    return said


@pytest.mark.parametrize(("name", "attenuation"), [("digits_slt.wav", 1), ("price_awb.wav", 1), ("phone_mike.wav", 40)])
def test_every_window_of_a_recording_gets_the_probability_that_the_package_gives_it(
    recording: Callable[[str], bytes], name: str, attenuation: int
) -> None:
    samples = (np.frombuffer(recording(name), "<i2") // attenuation).astype(np.float32) / 32_768
    windows = samples[: len(samples) // 512 * 512].reshape(-1, 512)
    (found,) = SileroVoiceActivity(find_silero_model(), max_slots=1).probabilities([windows], [0])
    assert max(found) > 0.9
    np.testing.assert_allclose(found, said_by_the_package(windows), atol=1e-4)


def test_a_model_without_the_weights_is_refused(embedded_model: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"encoder\.0\.reparam_conv\.weight, \(128, 129, 3\)"):
        network_of((embedded_model / "model.onnx").read_bytes())


def test_what_is_not_a_model_is_refused() -> None:
    with pytest.raises(WeightsMissing, match="not an ONNX model"):
        network_of(b"garbage")


def test_a_layer_of_another_size_is_refused() -> None:
    model = onnx.Model.FromString(find_silero_model().read_bytes())
    for node in model.graph.node:
        for attribute in node.attribute:
            for constant in attribute.g.node:
                if constant.attribute and constant.attribute[0].t.name == "decoder.rnn.bias_hh":
                    del constant.attribute[0].t.dims[:]
                    constant.attribute[0].t.dims.append(500)
    with pytest.raises(WeightsMissing, match=r"decoder\.rnn\.bias_hh, \(512,\)"):
        network_of(model.SerializeToString())
