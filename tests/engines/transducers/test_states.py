"""The states of an encoder follow from its metadata, and nothing is laid out that is too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import StateShape
from engines.transducers.states import StateLimits, encoder_states, whole_number
from tests.models.zipformer_transducer import ZipformerTransducer

pytestmark = pytest.mark.unit

ZIPFORMER = {key: str(value) for key, value in ZipformerTransducer().metadata().items()}
LSTM = {"model_type": "lstm", "num_encoder_layers": "12", "d_model": "512", "rnn_hidden_size": "1024"}


def states_of(metadata: dict[str, str], **limits: int) -> tuple[tuple[StateShape, ...], list[str]]:
    mistakes: list[str] = []
    return encoder_states(metadata, feature_dim=80, limits=StateLimits(**limits), mistakes=mistakes), mistakes


def mistakes_of(metadata: dict[str, str], **limits: int) -> list[str]:
    states, mistakes = states_of(metadata, **limits)
    assert states == ()
    return mistakes


def test_a_zipformer_has_six_states_a_layer_then_the_embedding_and_the_count() -> None:
    states, mistakes = states_of(ZIPFORMER)
    assert mistakes == []
    assert len(states) == 6 * 3 + 2
    assert states[:6] == (
        StateShape("cached_key_0", (16, 32), 1),
        StateShape("cached_nonlin_attn_0", (1, 16, 24), 1),
        StateShape("cached_val1_0", (16, 24), 1),
        StateShape("cached_val2_0", (16, 24), 1),
        StateShape("cached_conv1_0", (32, 4), 0),
        StateShape("cached_conv2_0", (32, 4), 0),
    )
    assert states[12].shape == (8, 24)
    assert states[-2:] == (
        StateShape("embed_states", (128, 3, 19), 0),
        StateShape("processed_lens", (), 0, is_integer=True),
    )


def test_a_zipformer_of_icefalls_usual_size_fits_the_limits() -> None:
    """The defaults of zipformer/train.py, with 128 frames of left context."""
    states, mistakes = states_of(
        {
            "model_type": "zipformer2",
            "encoder_dims": "192,256,384,512,384,256",
            "query_head_dims": "32,32,32,32,32,32",
            "value_head_dims": "12,12,12,12,12,12",
            "num_heads": "4,4,4,8,4,4",
            "num_encoder_layers": "2,2,3,4,3,2",
            "cnn_module_kernels": "31,31,15,15,15,31",
            "left_context_len": "128,64,32,16,32,64",
        }
    )
    assert mistakes == []
    assert len(states) == 98
    assert states[-8].shape == (64, 4 * 32)
    assert sum(state.size_bytes for state in states) == 1_850_888


def test_an_lstm_has_what_its_layers_say_and_what_their_cells_hold() -> None:
    assert states_of(LSTM) == (
        (StateShape("state0", (12, 512), 1), StateShape("state1", (12, 1_024), 1)),
        [],
    )


@pytest.mark.parametrize(
    "key", [key for key in ZIPFORMER if key.endswith(("dims", "heads", "layers", "kernels", "len"))]
)
def test_whatever_is_missing_is_named(key: str) -> None:
    if key == "decode_chunk_len":
        return
    assert mistakes_of({name: value for name, value in ZIPFORMER.items() if name != key}) == [
        f"encoder: its metadata must give {key}"
    ]


@pytest.mark.parametrize(
    ("changed", "mistake"),
    [
        ({"model_type": "conformer"}, "model_type must be zipformer2 or lstm"),
        ({"num_heads": "4"}, "one number for each stack"),
        ({"num_heads": "4,x"}, "number 2 of num_heads must be a whole number"),
        ({"num_heads": "4,0"}, "number 2 of num_heads must be 1 to"),
        ({"encoder_dims": ",".join(["8"] * 40)}, "at most 32 numbers"),
        ({"encoder_dims": "32,99999999"}, "number 2 of encoder_dims"),
        ({"num_encoder_layers": "200,200"}, "at most 256 are allowed"),
        ({"left_context_len": "65536,65536"}, "its states take"),
        ({"feature": "whisper"}, "Whisper"),
    ],
)
def test_metadata_that_cannot_be_is_told(changed: dict[str, str], mistake: str) -> None:
    found = mistakes_of(ZIPFORMER | changed)
    assert len(found) == 1
    assert mistake in found[0]


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes_of(ZIPFORMER | {"num_heads": "x,y", "encoder_dims": "0,1"})) == 3


@given(
    st.dictionaries(
        st.sampled_from(sorted(ZIPFORMER | LSTM)), st.one_of(st.text(max_size=12), st.integers().map(str)), max_size=8
    )
)
def test_any_metadata_gives_states_within_the_limit_or_mistakes(changed: dict[str, str]) -> None:
    states, mistakes = states_of(ZIPFORMER | changed, max_state_bytes=1 << 20)
    assert bool(states) != bool(mistakes)
    assert sum(state.size_bytes for state in states) <= 1 << 20


def test_a_number_is_read_within_its_limit() -> None:
    mistakes: list[str] = []
    assert whole_number({"T": "45"}, "T", 45, mistakes, part="encoder") == 45
    assert whole_number({"T": "46"}, "T", 45, mistakes, part="encoder") == 0
    assert mistakes == ["encoder: T must be 1 to 45, not 46"]
