"""The model that runs inside Triton: one ONNX file, batched over sequences, with the state of each kept here.

It is copied into a model repository as model.py and runs in the interpreter of Triton's Python backend, which needs
onnxruntime and NumPy before 2 (with NumPy 2, Triton 2.51 answers with empty outputs). These must stay true: it imports
nothing of Patchbay; a sequence's rows do not depend on who shares its batch; the state of a sequence that ended or was
forgotten by Triton is dropped.

Source of the interface: github.com/triton-inference-server/python_backend, README, "Usage".
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ERRORS_ONLY = 3
_NUMPY_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


class SequenceStates:
    """The state of each live sequence, by correlation id, least lately used first.

    Triton does not say when it forgets an idle sequence, so what is older than `idle_ns` is dropped here too.

    Args:
        fresh: gives the state of a sequence that begins: one array for each cache.
    """

    def __init__(self, fresh: Callable[[], tuple[Any, ...]], *, idle_ns: int) -> None:
        self._fresh = fresh
        self._idle_ns = idle_ns
        self._live: OrderedDict[int, tuple[int, tuple[Any, ...]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def take(self, sequence_id: int, *, is_start: bool) -> tuple[Any, ...] | None:
        """Give a sequence's state; None: it is unknown here and does not begin."""
        if is_start:
            return self._fresh()
        found = self._live.get(sequence_id)
        return None if found is None else found[1]

    def keep(self, sequence_id: int, state: tuple[Any, ...], *, now_ns: int) -> None:
        self._live[sequence_id] = (now_ns, state)
        self._live.move_to_end(sequence_id)

    def drop(self, sequence_id: int) -> None:
        self._live.pop(sequence_id, None)

    def drop_idle(self, *, now_ns: int) -> None:
        while self._live:
            sequence_id, (used_at_ns, _) = next(iter(self._live.items()))
            if now_ns - used_at_ns <= self._idle_ns:
                return
            del self._live[sequence_id]


class TritonPythonModel:
    """What Triton's Python backend asks for, by name: `initialize`, `execute`, `finalize`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the ONNX file that lies beside this one."""
        self._triton = importlib.import_module("triton_python_backend_utils")
        config = json.loads(args["model_config"])
        parameters = {key: entry["string_value"] for key, entry in config["parameters"].items()}
        self._features_input = config["input"][0]["name"]
        self._log_probabilities_output = config["output"][0]["name"]
        self._window_frames = int(parameters["window_size"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(parameters.get("threads", "1"))
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model_file = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self._session = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
        given_inputs = self._session.get_inputs()
        self._input_names = [given.name for given in given_inputs]
        types = [_NUMPY_TYPES[given.type] for given in given_inputs]
        self._features_type = types[0]
        self._output_names = [given.name for given in self._session.get_outputs()]
        del self._output_names[1]
        shapes: list[tuple[int, ...]] = [
            tuple(int(parameters[f"{cache}_dim{axis}"]) for axis in (1, 2, 3))
            for cache in ("cache_last_channel", "cache_last_time")
        ]
        shapes.append(())

        def fresh() -> tuple[Any, ...]:
            return tuple(np.zeros(shape, dtype) for shape, dtype in zip(shapes, types[2:], strict=True))

        rows = int(parameters["chunk_shift"]) // int(parameters["subsampling_factor"])
        self._nothing = np.zeros((1, rows, int(parameters["vocab_size"]) + 1), np.float32)
        idle_us = int(config["sequence_batching"]["max_sequence_idle_microseconds"])
        self._states = SequenceStates(fresh, idle_ns=idle_us * 1_000)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Advance each sequence by its window, all in one run of the model; one response for each request.

        A request that ends its sequence carries no audio: it gets a row of zeros. So does a slot that Triton filled up.
        """
        now_ns = time.monotonic_ns()
        self._states.drop_idle(now_ns=now_ns)
        responses: list[Any] = [None] * len(requests)
        running: list[tuple[int, int, tuple[Any, ...]]] = []
        for index, request in enumerate(requests):
            sequence_id = int(self._number(request, "CORRID"))
            if not self._number(request, "READY") or self._number(request, "END"):
                self._states.drop(sequence_id)
                responses[index] = self._response(self._nothing)
                continue
            state = self._states.take(sequence_id, is_start=bool(self._number(request, "START")))
            if state is None:
                responses[index] = self._failure(f"sequence {sequence_id} must specify the START flag")
                continue
            running.append((index, sequence_id, state))
        if running:
            self._run(requests, responses, running, now_ns)
        return responses

    def finalize(self) -> None:
        """Nothing outlives the process."""

    def _run(
        self,
        requests: Sequence[Any],
        responses: list[Any],
        running: list[tuple[int, int, tuple[Any, ...]]],
        now_ns: int,
    ) -> None:
        windows = np.concatenate([self._tensor(requests[index], self._features_input) for index, _, _ in running])
        lengths = np.full(len(running), self._window_frames, np.int64)
        caches = [np.stack(states) for states in zip(*(state for _, _, state in running), strict=True)]
        features = windows.astype(self._features_type, copy=False)
        inputs = dict(zip(self._input_names, (features, lengths, *caches), strict=True))
        try:
            log_probabilities, *next_caches = self._session.run(self._output_names, inputs)
        except Exception as error:  # noqa: BLE001 - a response for each request, whatever the runtime raises
            for index, sequence_id, _ in running:
                self._states.drop(sequence_id)
                responses[index] = self._failure(f"ONNX Runtime failed: {error}")
            return
        for row, (index, sequence_id, _) in enumerate(running):
            state = tuple(cache[row].copy() for cache in next_caches)
            self._states.keep(sequence_id, state, now_ns=now_ns)
            responses[index] = self._response(log_probabilities[row : row + 1])

    def _tensor(self, request: Any, name: str) -> Any:
        return self._triton.get_input_tensor_by_name(request, name).as_numpy()

    def _number(self, request: Any, name: str) -> int:
        return int(self._tensor(request, name).flat[0])

    def _response(self, log_probabilities: Any) -> Any:
        rows = np.ascontiguousarray(log_probabilities, np.float32)
        tensor = self._triton.Tensor(self._log_probabilities_output, rows)
        return self._triton.InferenceResponse(output_tensors=[tensor])

    def _failure(self, message: str) -> Any:
        return self._triton.InferenceResponse(output_tensors=[], error=self._triton.TritonError(message))
