"""A notice reaches an engine, or it does not and nothing breaks."""

from __future__ import annotations

import grpc.aio
import pytest

from engines.proto import engine_pb2
from regions.lab.notices import give_notice

pytestmark = pytest.mark.integration


async def test_an_engine_is_told_that_its_machine_goes_and_how_soon() -> None:
    heard: list[engine_pb2.PreemptRequest] = []

    async def preempt(request: engine_pb2.PreemptRequest, _: object) -> engine_pb2.PreemptReply:
        heard.append(request)
        return engine_pb2.PreemptReply(open_streams=3, leaves_in_ms=15_000)

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        preempt,
        request_deserializer=engine_pb2.PreemptRequest.FromString,
        response_serializer=engine_pb2.PreemptReply.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("patchbay.engine.v1.Engine", {"Preempt": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    assert await give_notice(f"127.0.0.1:{port}", lead_s=30)
    await server.stop(None)
    (told,) = heard
    assert (told.lead_ms, told.kind, told.is_proven) == (30_000, "interruption", False)


async def test_an_engine_that_is_gone_was_not_told() -> None:
    assert not await give_notice("127.0.0.1:1", lead_s=30)
