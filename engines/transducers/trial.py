"""Try a loaded transducer: are its inputs and outputs what it claims, and does a row depend on its batch?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engines.contract import Emissions
from engines.model_warm_up import FLOAT, INT64, Binding, compare_bindings
from engines.onnx_session import RUNTIME_ERRORS
from engines.transducers.greedy import greedy_search
from engines.transducers.networks import initial_context

if TYPE_CHECKING:
    from engines.contract import FloatArray, StateShape, TransducerContract
    from engines.transducers.networks import Networks, Tensor

_ROWS, _STEPS = 5, 3
_SPEECH_LIKE_MEAN, _SPEECH_LIKE_DEVIATION = -7.0, 3.0


def binding_mistakes(networks: Networks, contract: TransducerContract) -> list[str]:
    """Hold the declared inputs and outputs of the three files, by position, against the contract."""
    rows = contract.shift_frames // contract.subsampling
    joiner_row = (None, contract.joiner_dim)
    states = tuple(_state_binding(state) for state in contract.states)
    features = Binding("the features", FLOAT, (None, contract.window_frames, contract.feature_dim))
    encoder_out = Binding("the encoder's rows", FLOAT, (None, rows, contract.joiner_dim))
    context = Binding("the last pieces", INT64, (None, contract.context_size))
    decoder_out = Binding("the decoder's row", FLOAT, joiner_row)
    encoder_row = Binding("the encoder's row", FLOAT, joiner_row)
    logits = Binding("a value for each piece", FLOAT, (None, contract.vocab_size + 1))
    parts = (
        ("encoder", networks.encoder, (features, *states), (encoder_out, *states)),
        ("decoder", networks.decoder, (context,), (decoder_out,)),
        ("joiner", networks.joiner, (encoder_row, decoder_out), (logits,)),
    )
    mistakes = []
    for part, session, inputs, outputs in parts:
        try:
            found = [
                *compare_bindings("input", inputs, session.get_inputs()),
                *compare_bindings("output", outputs, session.get_outputs()),
            ]
        except UnicodeDecodeError:  # names are decoded only when they are asked for
            found = ["its inputs and outputs must be named in UTF-8"]
        mistakes += [f"{part}: {mistake}" for mistake in found]
    return mistakes


def _state_binding(state: StateShape) -> Binding:
    dims: tuple[int | None, ...] = (*state.shape[: state.batch_axis], None, *state.shape[state.batch_axis :])
    return Binding(state.name, INT64 if state.is_integer else FLOAT, dims)


def empty_states(contract: TransducerContract, batch: int) -> list[Tensor]:
    """Give the states of streams that have not begun."""
    return [
        np.zeros(
            (*state.shape[: state.batch_axis], batch, *state.shape[state.batch_axis :]),
            np.int64 if state.is_integer else np.float32,
        )
        for state in contract.states
    ]


def trial_mistakes(networks: Networks, contract: TransducerContract) -> list[str]:
    """Run some steps of made-up streams together and of one of them alone; the numbers must agree bit for bit.

    Where they agree only if no step has a single row, `networks.fewest_encoder_rows` is set to two.
    """
    shape = (_STEPS, _ROWS, contract.window_frames, contract.feature_dim)
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    features = _SPEECH_LIKE_MEAN + _SPEECH_LIKE_DEVIATION * noise
    networks.fewest_encoder_rows = 1
    try:
        together = _run_steps(networks, contract, features)
        mistakes = _result_mistakes(together, contract)
        if mistakes:
            return mistakes
        for networks.fewest_encoder_rows in (1, 2):
            alone = _run_steps(networks, contract, np.ascontiguousarray(features[:, :1]))
            if _are_first_rows(alone, together, contract):
                return []
    except RUNTIME_ERRORS as error:
        return [f"it cannot be run: {str(error).strip()[:300]}"]
    return ["a stream's results must not depend on who shares its batch (dynamic int8 quantisation breaks this)"]


def _run_steps(networks: Networks, contract: TransducerContract, features: FloatArray) -> list[Any]:
    """Give the emissions of all steps, the decoder's last rows, and the encoder's last rows and states."""
    batch = features.shape[1]
    outputs: list[Tensor] = [np.zeros(0), *empty_states(contract, batch)]
    axes = [state.batch_axis for state in contract.states]
    contexts = np.tile(initial_context(contract.context_size), (batch, 1))
    decoder_out = networks.decode(contexts)
    emissions: list[Emissions] = []
    for window in features:
        outputs = networks.encode(window, outputs[1:], axes)
        # A decoder or joiner of the wrong size fails here, and its error says so.
        emissions.append(greedy_search(networks, outputs[0], contexts, decoder_out, unknown_id=contract.unknown_id))
    said = [np.concatenate(part, axis=1) for part in zip(*emissions, strict=True)]
    return [*said, decoder_out, *outputs]


def _result_mistakes(results: list[Any], contract: TransducerContract) -> list[str]:
    rows = contract.shift_frames // contract.subsampling
    wanted = [(_ROWS, rows, contract.joiner_dim), *(state.shape for state in empty_states(contract, _ROWS))]
    outputs = results[3:]
    mistakes = [
        f"encoder: output {number} must come out as {shape}, not {output.shape}"
        for number, (shape, output) in enumerate(zip(wanted, outputs, strict=True), start=1)
        if output.shape != shape
    ]
    if not all(np.isfinite(part).all() for part in (*results[1:4],)):
        mistakes.append("what its networks give must be finite")
    return mistakes


def _are_first_rows(alone: list[Any], together: list[Any], contract: TransducerContract) -> bool:
    axes = (0, 0, 0, 0, *(state.batch_axis for state in contract.states))
    return all(
        np.array_equal(row, rows.take([0], axis=axis)) for row, rows, axis in zip(alone, together, axes, strict=True)
    )
