"""One stream of inference requests to a Triton server: requests go in, answers come out in whatever order, all bounded.

Two threads of its own: gRPC's, which takes requests from the outbox, and a reader, which fills the inbox. Both end with
the call. What waits for an answer gives a deadline; nothing here waits without one.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from engines.proto import kserve_pb2 as kserve
    from engines.proto.kserve_pb2_grpc import GRPCInferenceServiceStub


class StreamLost(Exception):
    """The call is over: nothing that was sent on it will be answered any more."""


class AnswerLate(Exception):
    """No answer came before the deadline; the call may still live."""


class InferStream:
    """An open `ModelStreamInfer` call. Send, receive and close from one thread."""

    def __init__(self, stub: GRPCInferenceServiceStub) -> None:
        self._outbox: SimpleQueue[kserve.ModelInferRequest | None] = SimpleQueue()
        self._inbox: SimpleQueue[kserve.ModelStreamInferResponse | None] = SimpleQueue()
        self._why_over = ""
        self._call = stub.ModelStreamInfer(iter(self._outbox.get, None))
        self._reader = threading.Thread(target=self._read, name="triton-answers", daemon=True)
        self._reader.start()

    @property
    def is_over(self) -> bool:
        return bool(self._why_over)

    def send(self, request: kserve.ModelInferRequest) -> None:
        self._outbox.put(request)

    def receive(self, *, until_s: float) -> kserve.ModelStreamInferResponse:
        """Give the next answer, or what there is at `until_s` on the monotonic clock.

        Raises:
            StreamLost: the call ended.
            AnswerLate: none came in time.
        """
        try:
            response = self._inbox.get(timeout=max(0.0, until_s - time.monotonic()))
        except Empty:
            raise AnswerLate from None
        if response is None:
            self._inbox.put(None)
            raise StreamLost(self._why_over)
        return response

    def close(self, *, within_s: float) -> None:
        """Let the server answer what was sent, then end the call; what is not answered in time is given up."""
        self._outbox.put(None)
        if within_s > 0:
            self._reader.join(within_s)
        self._call.cancel()
        self._reader.join(within_s)

    def _read(self) -> None:
        try:
            for response in self._call:
                self._inbox.put(response)
            self._why_over = "the server ended the stream"
        except grpc.RpcError as error:
            self._why_over = f"{error.code().name}: {error.details()}"
        finally:
            self._why_over = self._why_over or "the stream broke"
            self._inbox.put(None)
            self._outbox.put(None)
