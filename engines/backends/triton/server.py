"""A Triton server as seen by one backend: asked what it has, reached by one stream, reached again after a loss.

These must stay true: no wait is without a deadline; after a loss the server is asked again at most once in each pause
of the backoff; a stream is opened only to the very model that was checked at load.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import grpc

from engines.backends.triton.infer_stream import InferStream
from engines.backends.triton.served_contract import DIGEST, MIN_IDLE_MS, ServedModel, newest_version, read_served_model
from engines.errors import BackendFailed, ModelRejected
from engines.proto import kserve_pb2 as kserve
from engines.proto.kserve_pb2_grpc import GRPCInferenceServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable

LOAD_TIMEOUT_S = 10.0
_ASK_TIMEOUT_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_NOT_YET = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    # The backoff here decides when to try again; the channel's own must not add to it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Two backends of one process must not share a connection: each owns and closes its own.
    ("grpc.use_local_subchannel_pool", 1),
]


class TritonServer:
    """One model at one server. Called from one thread.

    Args:
        address: `host:port`, without TLS.
        min_idle_ms: how long the server must at least remember a sequence that pauses.
        load_timeout_s: how long the first question may wait for a server that is still starting.
        now_s: a monotonic clock.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        min_idle_ms: int = MIN_IDLE_MS,
        load_timeout_s: float = LOAD_TIMEOUT_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.model = model
        self._min_idle_ms = min_idle_ms
        self._load_timeout_s = load_timeout_s
        self._now_s = now_s
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._stub = GRPCInferenceServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._stream: InferStream | None = None
        self._served: ServedModel | None = None
        self._is_closed = False
        self._pause_s = 0.0
        self._retry_at_s = 0.0

    @property
    def where(self) -> str:
        return f"{self.model} at {self.address}"

    def inspect(self, *, max_slots: int) -> ServedModel:
        """Ask what the server says of the model and hold it against the contract; later streams go to this version.

        Raises:
            ModelRejected: no server answers, it has no such model, or the model breaks the contract.
        """
        try:
            version = newest_version(self._ask_metadata(), where=self.where)
            config = self._ask_config(version, timeout_s=_ASK_TIMEOUT_S)
        except grpc.RpcError as error:
            raise ModelRejected(self.where, [f"the server does not offer it: {_told(error)}"]) from error
        self._served = read_served_model(
            config, version_at_server=version, max_slots=max_slots, where=self.where, min_idle_ms=self._min_idle_ms
        )
        return self._served

    @property
    def live_stream(self) -> InferStream | None:
        """The stream if there is one that was not lost."""
        return None if self._stream is None or self._stream.is_over else self._stream

    def open_stream(self) -> InferStream:
        """Give the live stream, or open one.

        Raises:
            BackendFailed: the server cannot be reached, was found lost a moment ago, or has another model now.
        """
        if self._is_closed:
            raise BackendFailed(f"the connection to {self.where} was closed")
        if self._stream is not None and self._stream.is_over:
            self.give_up_stream()
        if self._stream is not None:
            return self._stream
        waits_s = self._retry_at_s - self._now_s()
        if waits_s > 0:
            raise BackendFailed(f"{self.where} was lost; it is asked again in {waits_s:.1f} s")
        self._hold_off()
        self._check_unchanged()
        self._stream = InferStream(self._stub)
        return self._stream

    def give_up_stream(self) -> None:
        """Drop the stream; the next one is opened after a pause that grows with each loss."""
        if self._stream is not None:
            self._stream.close(within_s=0.0)
            self._stream = None

    def answered(self) -> None:
        """A step went through: the next loss is the first again."""
        self._pause_s = self._retry_at_s = 0.0

    def close(self, *, within_s: float) -> None:
        """End the stream and the connection; no stream can be opened afterwards."""
        self._is_closed = True
        if self._stream is not None:
            self._stream.close(within_s=within_s)
            self._stream = None
        self._channel.close()

    def _hold_off(self) -> None:
        self._pause_s = min(self._pause_s * 2 or _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._retry_at_s = self._now_s() + self._pause_s

    def _check_unchanged(self) -> None:
        served = self._served
        if served is None:
            raise BackendFailed(f"{self.where} was not inspected")
        try:
            config = self._ask_config(served.version_at_server, timeout_s=_ASK_TIMEOUT_S)
        except grpc.RpcError as error:
            raise BackendFailed(f"{self.where} cannot be reached: {_told(error)}") from error
        digest = config.parameters[DIGEST].string_value if DIGEST in config.parameters else ""
        if digest != served.contract.version:
            raise BackendFailed(f"{self.where} is another model now: {digest!r}, not {served.contract.version!r}")

    def _ask_metadata(self) -> kserve.ModelMetadataResponse:
        """Ask until the server listens and has loaded its models, for as long as a start may take."""
        until_s = self._now_s() + self._load_timeout_s
        while True:
            try:
                response: kserve.ModelMetadataResponse = self._stub.ModelMetadata(
                    kserve.ModelMetadataRequest(name=self.model), timeout=_ASK_TIMEOUT_S
                )
            except grpc.RpcError as error:
                if error.code() not in _NOT_YET or self._now_s() >= until_s:
                    raise
                time.sleep(_FIRST_PAUSE_S)
            else:
                return response

    def _ask_config(self, version: str, *, timeout_s: float) -> kserve.ModelConfig:
        request = kserve.ModelConfigRequest(name=self.model, version=version)
        response: kserve.ModelConfigResponse = self._stub.ModelConfig(request, timeout=timeout_s)
        return response.config


def _told(error: grpc.RpcError) -> str:
    return f"{error.code().name}, {error.details()}"
