"""An operator's connection to one engine: its admin calls, with refusals as exit codes."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import grpc

from engines.proto import engine_pb2, engine_pb2_grpc
from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import state_directory
from gateway.running_regions import newest

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWER_S = 10.0
_EXIT_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: ExitCode.data_rejected,
    grpc.StatusCode.NOT_FOUND: ExitCode.data_rejected,
    grpc.StatusCode.ALREADY_EXISTS: ExitCode.data_rejected,
    grpc.StatusCode.FAILED_PRECONDITION: ExitCode.data_rejected,
    grpc.StatusCode.PERMISSION_DENIED: ExitCode.not_permitted,
    grpc.StatusCode.UNAVAILABLE: ExitCode.unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitCode.unavailable,
    grpc.StatusCode.UNIMPLEMENTED: ExitCode.protocol_broken,
}


class EngineRefused(Exception):
    """An engine would not do it, or did not answer; the text begins with the reason's name."""

    def __init__(self, text: str, exit_code: ExitCode) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def engine_address(given: str) -> str:
    """`unix:/path` and `host:port` as they are; a number is an engine of the region that `patchbay up` runs here.

    Raises:
        EngineRefused: there is no such region or engine, or it is no address.
    """
    if not re.fullmatch(r"[0-9]{1,4}", given):
        if given.startswith("unix:") or ":" in given:
            return given
        raise EngineRefused(f"{given} is no address of an engine: unix:/path, host:port or a number", ExitCode.usage)
    running = newest(state_directory(os.environ))
    if running is None:
        raise EngineRefused("no region runs here: give --engine an address", ExitCode.unavailable)
    addresses = [engine.get("address") for engine in running["engines"]]
    if int(given) >= len(addresses) or not addresses[int(given)]:
        raise EngineRefused(f"the region that runs here has {len(addresses)} engines, from 0", ExitCode.usage)
    return str(addresses[int(given)])


class EngineAdmin:
    """The admin calls of one engine. Each raises EngineRefused."""

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(channel)  # type: ignore[no-untyped-call]
        self._address = address

    def describe(self) -> engine_pb2.Description:
        answer: engine_pb2.Description = self._call("Describe", engine_pb2.DescribeRequest(), _ANSWER_S)
        return answer

    def preempt(self, request: engine_pb2.PreemptRequest) -> engine_pb2.PreemptReply:
        """Answers at once; the engine goes when its last stream has."""
        answer: engine_pb2.PreemptReply = self._call("Preempt", request, _ANSWER_S)
        return answer

    def load(self, request: engine_pb2.LoadModelRequest, *, timeout_s: float) -> engine_pb2.ModelState:
        """Waits until the model is warm."""
        answer: engine_pb2.ModelState = self._call("LoadModel", request, timeout_s)
        return answer

    def unload(self, request: engine_pb2.UnloadModelRequest) -> engine_pb2.ModelState:
        """Answers at once; the model goes with its last stream."""
        answer: engine_pb2.ModelState = self._call("UnloadModel", request, _ANSWER_S)
        return answer

    def share(self, request: engine_pb2.ShareTrafficRequest) -> engine_pb2.Description:
        answer: engine_pb2.Description = self._call("ShareTraffic", request, _ANSWER_S)
        return answer

    def _call(self, name: str, request: Any, timeout_s: float) -> Any:
        try:
            return getattr(self._stub, name)(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise self._refusal(error.code(), error.details()) from None

    def _refusal(self, status: grpc.StatusCode, details: str | None) -> EngineRefused:
        text = f"{status.name.lower()}: {details or 'the engine says nothing more'}"
        if status is grpc.StatusCode.UNIMPLEMENTED:
            text = f"unimplemented: the engine at {self._address} is of a release that cannot do this"
        return EngineRefused(text, _EXIT_CODES.get(status, ExitCode.internal))


@contextlib.contextmanager
def engine_admin(given: str) -> Iterator[EngineAdmin]:
    """Dial an engine; see `engine_address`. Raises EngineRefused."""
    address = engine_address(given)
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield EngineAdmin(channel, address)
