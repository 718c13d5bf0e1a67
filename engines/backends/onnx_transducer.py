"""A transducer on ONNX Runtime's CPU provider, with greedy search over all streams of a step at once.

These must stay true: a row's result does not depend on the other rows (engines/transducers/trial.py refuses models
where it does), and one session's state is touched only by its own slot's rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.backends.slot_states import SlotStates
from engines.backends.step_times import measure_step_times
from engines.contract import BackendKind, MemoryFigures
from engines.errors import BackendFailed, ModelRejected
from engines.onnx_session import RUNTIME_ERRORS
from engines.transducers.files import load_transducer
from engines.transducers.greedy import greedy_search
from engines.transducers.networks import initial_context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engines.contract import BackendSettings, Emissions, FloatArray, StepTime, TransducerContract
    from engines.transducers.networks import Networks


def open_transducer(path: Path | str, settings: BackendSettings) -> OnnxTransducerBackend:
    """Check a transducer's folder and set it up.

    Raises:
        ModelRejected: the files break the contract, or another runtime than ONNX Runtime's CPU provider is asked for.
    """
    if settings.kind is not BackendKind.onnx:
        raise ModelRejected(str(path), [f"a transducer runs on the backend onnx only, not on {settings.kind}"])
    contract, networks = load_transducer(path, threads=settings.threads)
    return OnnxTransducerBackend(contract, networks, settings)


class OnnxTransducerBackend:
    """Implements `engines.contract.TransducerBackend`; `networks` are those that `contract` was read from."""

    kind = BackendKind.onnx

    def __init__(self, contract: TransducerContract, networks: Networks, settings: BackendSettings) -> None:
        self.contract = contract
        self.max_slots = settings.max_slots
        self.max_batch = settings.largest_batch
        self._networks = networks
        self._axes = [state.batch_axis for state in contract.states]
        self._states = SlotStates(contract.states, max_slots=self.max_slots)
        self._no_context = initial_context(contract.context_size)
        self._no_decoder_out = networks.decode(self._no_context[None])[0].copy()
        self._contexts = np.tile(self._no_context, (self.max_slots, 1))
        self._decoder_out = np.tile(self._no_decoder_out, (self.max_slots, 1))
        state_bytes = self._states.bytes_total + self._contexts.nbytes + self._decoder_out.nbytes
        self.memory = MemoryFigures(
            device="cpu",
            weights_bytes=contract.weights_bytes,
            state_bytes_per_slot=state_bytes // self.max_slots,
            state_bytes_total=state_bytes,
        )

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `TransducerBackend.warm_up`."""
        return measure_step_times(self)

    def close(self) -> None:
        """See `TransducerBackend.close`."""
        self._states.close()

    def reset(self, slot: int) -> None:
        """See `TransducerBackend.reset`."""
        self._states.reset(slot)
        self._contexts[slot] = self._no_context
        self._decoder_out[slot] = self._no_decoder_out

    def step(self, features: FloatArray, slots: Sequence[int]) -> Emissions:
        """See `TransducerBackend.step`."""
        rows = np.asarray(slots, np.intp)
        contexts, decoder_out = self._contexts[rows], self._decoder_out[rows]
        try:
            encoder_out, *next_states = self._networks.encode(features, self._states.gather(slots), self._axes)
            emissions = greedy_search(
                self._networks, encoder_out, contexts, decoder_out, unknown_id=self.contract.unknown_id
            )
        except RUNTIME_ERRORS as error:
            raise BackendFailed(f"ONNX Runtime failed in a step of {len(slots)} streams: {error}") from error
        self._states.scatter(slots, next_states)
        self._contexts[rows] = contexts
        self._decoder_out[rows] = decoder_out
        return emissions
