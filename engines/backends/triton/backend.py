"""A model at a Triton server, one sequence for each slot; a step sends its rows on one stream and waits for all.

These must stay true: a sequence is begun with START and is always ended with END, also after a failure, because the
server counts it until then; at most `max_slots` sequences live at once; no wait is without a deadline; a row is
believed only if it answers the very request by its id, from the version that was checked at load.
"""

from __future__ import annotations

import itertools
import secrets
import time
from typing import TYPE_CHECKING

import numpy as np

from engines.backends.step_times import measure_step_times
from engines.backends.triton.infer_stream import AnswerLate, StreamLost
from engines.backends.triton.server import TritonServer
from engines.contract import BackendKind, MemoryFigures
from engines.errors import BackendFailed, ModelRejected
from engines.proto import kserve_pb2 as kserve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engines.backends.triton.infer_stream import InferStream
    from engines.backends.triton.served_contract import ServedModel
    from engines.contract import BackendSettings, FloatArray, StepTime

STEP_TIMEOUT_S = 2.0
FIRST_STEP_TIMEOUT_S = 30.0
"""A server may prepare its kernels at the first step, and in a warm-up at the first of each batch size."""
_CLOSE_WITHIN_S = 1.0
_UNENDED_FOR_EACH_SLOT = 4
_NO_SEQUENCE = 0
_ID_BITS = 63
"""Correlation ids are sent as int64 and must not be 0."""


def open_backend(path: Path | str, settings: BackendSettings) -> TritonBackend:
    """Reach `settings.server` and check the model that `path` names there.

    Raises:
        ModelRejected: no server answers, it has no such model, or the model breaks the contract.
    """
    model = str(path)
    if not settings.server:
        raise ModelRejected(model, ["a Triton server must be named, as host:port"])
    server = TritonServer(settings.server, model)
    try:
        return TritonBackend(server, settings, first_step_timeout_s=FIRST_STEP_TIMEOUT_S)
    except ModelRejected:
        server.close(within_s=0.0)
        raise


class _WrongAnswer(Exception):
    """The server answered a request with an error, or with something other than its row."""


class TritonBackend:
    """Implements `engines.contract.Backend`. After a failed step all slots of its batch are as after a reset.

    Args:
        step_timeout_s: how long a step waits for its answers.
        first_step_timeout_s: how long it waits until one went through.
    """

    kind = BackendKind.triton

    def __init__(
        self,
        server: TritonServer,
        settings: BackendSettings,
        *,
        step_timeout_s: float = STEP_TIMEOUT_S,
        first_step_timeout_s: float = 0.0,
    ) -> None:
        self.max_slots = settings.max_slots
        self.max_batch = settings.largest_batch
        self._server = server
        self._served: ServedModel = server.inspect(max_slots=self.max_slots)
        self.contract = contract = self._served.contract
        self._usual_timeout_s = step_timeout_s
        self._timeout_s = max(step_timeout_s, first_step_timeout_s)
        self._sequences = [_NO_SEQUENCE] * self.max_slots
        self._unended: list[int] = []
        self._ending: dict[str, int] = {}
        """Sequences whose end was sent and not answered, by the id of the request."""
        self._stream: InferStream | None = None
        self._request_numbers = itertools.count(1)
        self._row_shape = (contract.shift_frames // contract.subsampling, contract.vocab_size + 1)
        self._row_bytes = 4 * self._row_shape[0] * self._row_shape[1]
        self._silence = bytes(4 * contract.window_frames * contract.feature_dim)
        self._template = _template(server.model, self._served)
        self.memory = MemoryFigures(
            device=server.address,
            weights_bytes=contract.weights_bytes,
            state_bytes_per_slot=contract.state_bytes,
            state_bytes_total=contract.state_bytes * self.max_slots,
        )

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `Backend.warm_up`."""
        usual_s, self._usual_timeout_s = self._usual_timeout_s, max(self._usual_timeout_s, FIRST_STEP_TIMEOUT_S)
        self._timeout_s = self._usual_timeout_s
        try:
            return measure_step_times(self)
        finally:
            self._usual_timeout_s = self._timeout_s = usual_s

    def close(self) -> None:
        """See `Backend.close`. The server is told that all sequences are over, if it still listens."""
        for slot in range(self.max_slots):
            self.reset(slot)
        self._server.close(within_s=_CLOSE_WITHIN_S)

    def reset(self, slot: int) -> None:
        """Forget all state of one slot. Waits for nothing: without a stream the server is told when there is one."""
        sequence, self._sequences[slot] = self._sequences[slot], _NO_SEQUENCE
        if sequence == _NO_SEQUENCE:
            return
        stream = self._server.live_stream
        if stream is None:
            self._unended.append(sequence)
        else:
            self._end(stream, sequence)

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`."""
        window = self.contract.window_frames, self.contract.feature_dim
        if features.shape[1:] != window:
            self._forget(slots)
            raise BackendFailed(f"windows must come as {window}, not {features.shape[1:]}")
        try:
            stream = self._server.open_stream()
        except BackendFailed:
            self._forget(slots)
            raise
        self._end_what_is_left(stream)
        waiting = self._send(stream, features, slots)
        try:
            rows = self._collect(stream, waiting)
        except StreamLost as error:
            self._server.give_up_stream()
            self._forget(slots)
            raise BackendFailed(f"{self._server.where} was lost in a step of {len(slots)} streams: {error}") from error
        except AnswerLate as error:
            if len(waiting) == len(slots):
                self._server.give_up_stream()
            self._forget(slots)
            late = f"{len(waiting)} of {len(slots)} streams within {self._timeout_s:.1f} s"
            raise BackendFailed(f"{self._server.where} did not answer {late}") from error
        except _WrongAnswer as error:
            self._forget(slots)
            raise BackendFailed(f"{self._server.where} failed in a step of {len(slots)} streams: {error}") from error
        self._server.answered()
        self._timeout_s = self._usual_timeout_s
        return rows

    def _send(self, stream: InferStream, features: FloatArray, slots: Sequence[int]) -> dict[str, int]:
        """Send each row; give the row that each request's id stands for."""
        waiting = {}
        windows = np.ascontiguousarray(features.transpose(0, 2, 1), "<f4")
        for row, slot in enumerate(slots):
            is_start = self._sequences[slot] == _NO_SEQUENCE
            if is_start:
                self._sequences[slot] = secrets.randbelow((1 << _ID_BITS) - 1) + 1
            request = self._request(self._sequences[slot], windows[row].tobytes(), is_start=is_start, is_end=False)
            waiting[request.id] = row
            stream.send(request)
        return waiting

    def _collect(self, stream: InferStream, waiting: dict[str, int]) -> FloatArray:
        """Take answers until each request has one; those that nobody waits for are dropped."""
        rows = np.empty((len(waiting), *self._row_shape), np.float32)
        until_s = time.monotonic() + self._timeout_s
        while waiting:
            answer = stream.receive(until_s=until_s)
            self._ending.pop(answer.infer_response.id, None)
            row = waiting.pop(answer.infer_response.id, None)
            if row is not None:
                rows[row] = self._row(answer)
        return rows

    def _row(self, answer: kserve.ModelStreamInferResponse) -> FloatArray:
        if answer.error_message:
            raise _WrongAnswer(answer.error_message)
        response = answer.infer_response
        if response.model_version != self._served.version_at_server:
            raise _WrongAnswer(
                f"version {response.model_version!r} answered, not {self._served.version_at_server!r}: it was reloaded"
            )
        if len(response.outputs) != 1 or len(response.raw_output_contents) != 1:
            raise _WrongAnswer(f"an answer must hold the log-probabilities alone, not {len(response.outputs)} outputs")
        output, content = response.outputs[0], response.raw_output_contents[0]
        if output.datatype != "FP32" or tuple(output.shape) != (1, *self._row_shape) or len(content) != self._row_bytes:
            shown = f"{output.datatype} {list(output.shape)} in {len(content)} bytes"
            raise _WrongAnswer(f"log-probabilities must come as FP32 {[1, *self._row_shape]}, not {shown}")
        return np.frombuffer(content, "<f4").reshape(self._row_shape)

    def _forget(self, slots: Sequence[int]) -> None:
        for slot in slots:
            self.reset(slot)

    def _end(self, stream: InferStream, sequence: int) -> None:
        """End a sequence with a window of silence; nobody waits for the answer."""
        request = self._request(sequence, self._silence, is_start=False, is_end=True)
        self._ending[request.id] = sequence
        stream.send(request)

    def _end_what_is_left(self, stream: InferStream) -> None:
        """End what could not be told before, and on a new stream what may not have arrived on the old one.

        What is beyond the newest few is left to the server's idle time.
        """
        if stream is not self._stream:
            self._stream = stream
            self._unended += self._ending.values()
            self._ending.clear()
        for sequence in self._unended[-_UNENDED_FOR_EACH_SLOT * self.max_slots :]:
            self._end(stream, sequence)
        self._unended.clear()

    def _request(self, sequence: int, window: bytes, *, is_start: bool, is_end: bool) -> kserve.ModelInferRequest:
        request = kserve.ModelInferRequest()
        request.CopyFrom(self._template)
        request.id = str(next(self._request_numbers))
        request.parameters["sequence_id"].int64_param = sequence
        request.parameters["sequence_start"].bool_param = is_start
        request.parameters["sequence_end"].bool_param = is_end
        request.raw_input_contents.append(window)
        return request


def _template(model: str, served: ServedModel) -> kserve.ModelInferRequest:
    """Give what all requests have in common."""
    shape = [1, served.contract.feature_dim, served.contract.window_frames]
    features = kserve.ModelInferRequest.InferInputTensor(name=served.features_input, datatype="FP32", shape=shape)
    wanted = kserve.ModelInferRequest.InferRequestedOutputTensor(name=served.log_probabilities_output)
    return kserve.ModelInferRequest(
        model_name=model, model_version=served.version_at_server, inputs=[features], outputs=[wanted]
    )
