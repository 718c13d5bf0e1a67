"""`patchbay engine preempt` against an engine's gRPC service."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from typer.testing import CliRunner

from engines.proto import engine_pb2, engine_pb2_grpc
from gateway.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result


class Engine(engine_pb2_grpc.EngineServicer):
    """Takes a notice, or refuses a kind that it does not know."""

    def __init__(self) -> None:
        self.told: list[engine_pb2.PreemptRequest] = []

    def Preempt(self, request: engine_pb2.PreemptRequest, context: Any) -> engine_pb2.PreemptReply:  # noqa: N802
        if request.kind == "storm":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "kind or lead_ms is not one that can be told")
        self.told.append(request)
        leaves = 0 if request.kind == "rebalance" else 15_000
        return engine_pb2.PreemptReply(open_streams=3, leaves_in_ms=leaves, is_at_risk=not leaves)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def address(engine: Engine) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(5)


def preempt(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["engine", "preempt", *arguments])


def test_an_engine_is_told_how_long_its_machine_has(engine: Engine, address: str) -> None:
    said = preempt(address, "--within-s", "40")
    assert (said.exit_code, said.stdout) == (0, "3 streams should be gone in 15.0 s; then the engine ends\n")
    asked = engine.told[0]
    assert (asked.lead_ms, asked.kind, asked.is_proven) == (40_000, "interruption", False)


def test_a_machine_at_risk_keeps_its_streams(engine: Engine, address: str) -> None:
    said = preempt(address, "--kind", "rebalance", "--json")
    assert json.loads(said.stdout) == {"open_streams": 3, "leaves_in_ms": 0, "is_at_risk": True}
    assert "3 streams stay" in preempt(address, "--kind", "rebalance").stdout


def test_what_cannot_be_done_has_its_exit_code(address: str) -> None:
    assert preempt(address, "--kind", "storm").exit_code == 65
    assert preempt("nowhere").exit_code == 64
    assert preempt("127.0.0.1:9").exit_code == 69
