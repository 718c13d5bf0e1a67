"""A server in this process that speaks Triton's gRPC API and does to sequences what Triton was seen to do.

A made-up model: a row's first number is how many windows its sequence has had. `moods` say what is wrong with it.
"""

from __future__ import annotations

import threading
from concurrent import futures
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from engines.proto import kserve_pb2 as kserve
from engines.proto import kserve_pb2_grpc as kserve_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW, FEATURES, ROWS, OUTPUTS = 16, 80, 2, 4
TOKENS = "a 0\nb 1\nc 2\n<blk> 3\n"
PARAMETERS = {
    "window_size": str(WINDOW),
    "chunk_shift": "16",
    "subsampling_factor": "8",
    "vocab_size": str(OUTPUTS - 1),
    "cache_last_channel_dim1": "2",
    "cache_last_channel_dim2": "3",
    "cache_last_channel_dim3": "4",
    "cache_last_time_dim1": "2",
    "cache_last_time_dim2": "4",
    "cache_last_time_dim3": "5",
    "language": "en",
    "tokens": TOKENS,
    "model_digest": "00112233aabbccdd",
    "precision": "fp16",
    "weights_bytes": "1234",
    "state_bytes": "264",
}


class Mood(Enum):
    """What is wrong with the server's answers."""

    silent = auto()
    silent_for_one = auto()
    reversed_order = auto()
    foreign_ids_first = auto()
    other_version = auto()
    wrong_shape = auto()
    wrong_type = auto()
    short_content = auto()
    no_outputs = auto()
    error_for_one = auto()
    ends_stream = auto()
    loses_ends = auto()


def model_config(**parameters: str | None) -> kserve.ModelConfig:
    """A configuration that keeps the contract; None leaves a parameter out."""
    control = kserve.ModelSequenceBatching.Control
    config = kserve.ModelConfig(
        name="asr",
        max_batch_size=8,
        input=[kserve.ModelInput(name="features", data_type=kserve.TYPE_FP32, dims=[FEATURES, WINDOW])],
        output=[kserve.ModelOutput(name="log_probabilities", data_type=kserve.TYPE_FP32, dims=[ROWS, OUTPUTS])],
        instance_group=[kserve.ModelInstanceGroup(count=1)],
        sequence_batching=kserve.ModelSequenceBatching(
            max_sequence_idle_microseconds=60_000_000,
            control_input=[
                kserve.ModelSequenceBatching.ControlInput(
                    name="CORRID",
                    control=[control(kind=control.CONTROL_SEQUENCE_CORRID, data_type=kserve.TYPE_UINT64)],
                )
            ],
            oldest=kserve.ModelSequenceBatching.StrategyOldest(max_candidate_sequences=16),
        ),
    )
    for key, value in (PARAMETERS | parameters).items():
        if value is not None:
            config.parameters[key].string_value = value
    return config


class FakeTriton(kserve_grpc.GRPCInferenceServiceServicer):
    """Set `mood`, `config`, `version` and `live` between steps."""

    def __init__(self) -> None:
        self.config = model_config()
        self.version = "7"
        self.mood: Mood | None = None
        self.live: dict[int, int] = {}
        """Windows that each live sequence has had."""
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.streams = 0
        self.questions = 0
        self._is_over = threading.Event()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        kserve_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._is_over.set()
        self._server.stop(None).wait(5)

    def ModelMetadata(self, request: kserve.ModelMetadataRequest, context: Any) -> kserve.ModelMetadataResponse:  # noqa: N802
        if request.name != self.config.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")
        return kserve.ModelMetadataResponse(name=request.name, versions=["2", self.version])

    def ModelConfig(self, request: kserve.ModelConfigRequest, context: Any) -> kserve.ModelConfigResponse:  # noqa: N802
        self.questions += 1
        return kserve.ModelConfigResponse(config=self.config)

    def ModelStreamInfer(  # noqa: N802
        self, requests: Iterator[kserve.ModelInferRequest], context: Any
    ) -> Iterator[kserve.ModelStreamInferResponse]:
        self.streams += 1
        held: list[kserve.ModelStreamInferResponse] = []
        for number, request in enumerate(requests):
            is_end = request.parameters["sequence_end"].bool_param
            if is_end and self.mood is Mood.loses_ends:
                return
            answer = self._answer(request)
            if is_end or self.mood is None:
                yield answer
            elif self.mood is Mood.ends_stream:
                return
            elif self.mood is Mood.reversed_order:
                held.append(answer)
                if len(held) == 3:
                    yield from reversed(held)
                    held.clear()
            elif self.mood is Mood.foreign_ids_first:
                foreign = kserve.ModelStreamInferResponse()
                foreign.CopyFrom(answer)
                foreign.infer_response.id = f"foreign {number}"
                yield from (foreign, answer)
            else:
                is_first = request.parameters["sequence_id"].int64_param == self.begun[0]
                if self.mood is not Mood.silent and not (self.mood is Mood.silent_for_one and is_first):
                    yield self._spoiled(answer, is_first=is_first)

    def _answer(self, request: kserve.ModelInferRequest) -> kserve.ModelStreamInferResponse:
        sequence = request.parameters["sequence_id"].int64_param
        response = kserve.ModelInferResponse(model_name="asr", model_version=self.version, id=request.id)
        if request.parameters["sequence_start"].bool_param:
            self.begun.append(sequence)
            self.live[sequence] = 0
        elif sequence not in self.live:
            return kserve.ModelStreamInferResponse(
                error_message=f"inference request for sequence {sequence} to model 'asr' must specify the START flag",
                infer_response=response,
            )
        if request.parameters["sequence_end"].bool_param:
            self.ended.append(sequence)
            del self.live[sequence]
        else:
            self.live[sequence] += 1
        rows = np.zeros((ROWS, OUTPUTS), "<f4")
        rows[0, 0] = self.live.get(sequence, 0)
        window = np.frombuffer(request.raw_input_contents[0], "<f4").reshape(FEATURES, WINDOW)
        rows[1, 0] = window[0, 1]
        response.outputs.add(name="log_probabilities", datatype="FP32", shape=[1, ROWS, OUTPUTS])
        response.raw_output_contents.append(rows.tobytes())
        return kserve.ModelStreamInferResponse(infer_response=response)

    def _spoiled(self, answer: kserve.ModelStreamInferResponse, *, is_first: bool) -> kserve.ModelStreamInferResponse:
        response = answer.infer_response
        if self.mood is Mood.other_version:
            response.model_version = "8"
        elif self.mood is Mood.wrong_shape:
            response.outputs[0].shape[:] = [1, OUTPUTS, ROWS]
        elif self.mood is Mood.wrong_type:
            response.outputs[0].datatype = "INT32"
        elif self.mood is Mood.short_content:
            response.raw_output_contents[0] = b""
        elif self.mood is Mood.no_outputs:
            response.ClearField("outputs")
            response.ClearField("raw_output_contents")
        elif self.mood is Mood.error_for_one and is_first:
            answer.error_message = "ONNX Runtime failed"
        return answer
