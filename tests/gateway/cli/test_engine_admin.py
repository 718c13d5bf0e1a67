"""An operator's connection to an engine: which one is meant, and what its refusals mean to a script."""

from __future__ import annotations

import socket
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engines.proto import engine_pb2
from gateway.cli.engine_admin import EngineAdmin, EngineRefused, engine_address, engine_admin
from gateway.cli.exit_codes import ExitCode
from gateway.running_regions import announce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "patchbay"


@pytest.mark.parametrize("address", ["unix:/run/patchbay/engine-0.sock", "10.0.0.1:7000", "engine.internal:7000"])
def test_an_address_is_taken_as_it_is(state: Path, address: str) -> None:
    assert engine_address(address) == address


def test_a_number_is_an_engine_of_the_region_that_runs_here(state: Path) -> None:
    import os

    announce(state, {"pid": os.getpid(), "engines": [{"address": "unix:/a"}, {"address": "unix:/b"}]})
    assert [engine_address("0"), engine_address("1")] == ["unix:/a", "unix:/b"]
    with pytest.raises(EngineRefused, match="2 engines") as refused:
        engine_address("2")
    assert refused.value.exit_code is ExitCode.usage


def test_a_number_without_a_region_is_unavailable(state: Path) -> None:
    with pytest.raises(EngineRefused, match="no region runs here") as refused:
        engine_address("0")
    assert refused.value.exit_code is ExitCode.unavailable


@pytest.mark.parametrize("given", ["", "engine", "-1", "12345"])
def test_what_is_no_address_is_a_wrong_command_line(state: Path, given: str) -> None:
    with pytest.raises(EngineRefused, match="no address") as refused:
        engine_address(given)
    assert refused.value.exit_code is ExitCode.usage


def test_an_engine_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with engine_admin(f"127.0.0.1:{port}") as admin, pytest.raises(EngineRefused, match=r"^unavailable: ") as refused:
        admin.describe()
    assert refused.value.exit_code is ExitCode.unavailable


class RefusingEngine:
    """Answers every call with the status that a test sets; None: as if it knew no such call."""

    def __init__(self) -> None:
        self.status: grpc.StatusCode | None = None
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, _details: Any) -> Any:
        if self.status is None:
            return None

        def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(self.status, "so says the engine")
            raise AssertionError("abort raises")

        return grpc.unary_unary_rpc_method_handler(refuse)

    def stop(self) -> None:
        self._server.stop(0).wait()


@pytest.fixture
def engine() -> Iterator[RefusingEngine]:
    running = RefusingEngine()
    yield running
    running.stop()


CALLS: list[Callable[[EngineAdmin], object]] = [
    lambda admin: admin.describe(),
    lambda admin: admin.load(engine_pb2.LoadModelRequest(), timeout_s=5),
    lambda admin: admin.unload(engine_pb2.UnloadModelRequest()),
    lambda admin: admin.share(engine_pb2.ShareTrafficRequest()),
]


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, ExitCode.data_rejected),
        (grpc.StatusCode.NOT_FOUND, ExitCode.data_rejected),
        (grpc.StatusCode.ALREADY_EXISTS, ExitCode.data_rejected),
        (grpc.StatusCode.FAILED_PRECONDITION, ExitCode.data_rejected),
        (grpc.StatusCode.PERMISSION_DENIED, ExitCode.not_permitted),
        (grpc.StatusCode.UNAVAILABLE, ExitCode.unavailable),
        (grpc.StatusCode.INTERNAL, ExitCode.internal),
        (grpc.StatusCode.DATA_LOSS, ExitCode.internal),
    ],
)
def test_a_refusal_says_its_name_and_the_engine_s_words(
    engine: RefusingEngine, status: grpc.StatusCode, exit_code: ExitCode
) -> None:
    engine.status = status
    for call in CALLS:
        with engine_admin(engine.address) as admin, pytest.raises(EngineRefused) as refused:
            call(admin)
        assert str(refused.value) == f"{status.name.lower()}: so says the engine"
        assert refused.value.exit_code is exit_code


def test_an_engine_of_an_earlier_release_is_told_from_one_that_refuses(engine: RefusingEngine) -> None:
    with engine_admin(engine.address) as admin, pytest.raises(EngineRefused, match="cannot do this") as refused:
        admin.share(engine_pb2.ShareTrafficRequest())
    assert refused.value.exit_code is ExitCode.protocol_broken
