"""Promises of the engine's gRPC server, asked over a real socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engines.proto import engine_pb2
from engines.server.service import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.integration

Start = Callable[..., Awaitable[Any]] if TYPE_CHECKING else Any
Dial = Callable[[str], Awaitable[Any]] if TYPE_CHECKING else Any


def opening(stream_id: int = 1) -> engine_pb2.StreamCommand:
    message = engine_pb2.Open(session_id="s", epoch=1, min_trailing_silence_ms=800, max_utterance_ms=30_000)
    return engine_pb2.StreamCommand(stream_id=stream_id, open=message)


async def ask(address: str, method: str, request: Any, reply: Any) -> Any:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"/{SERVICE_NAME}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        return await call(request, timeout=10)


async def health_of(address: str) -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE_NAME))
        return int(reply.status)


async def test_describe_says_what_the_engine_serves(start_engine: Start) -> None:
    engine = await start_engine("--pool", "blue")
    reply = await ask(engine.address, "Describe", engine_pb2.DescribeRequest(), engine_pb2.Description)
    assert reply.pool == "blue"
    loads = [model.load for model in reply.models]
    assert [(load.name, load.version, load.language) for load in loads] == [("scripted", "scripted-4", "en")]
    assert [(model.slots_laid_out, model.memory.device) for model in reply.models] == [(4, "cpu")]
    assert [entry.batch for entry in reply.models[0].step_times] == [1, 4]
    assert (reply.load.slots_total, reply.load.slots_used) == (4, 0)
    assert reply.busy_us_total >= reply.charged_us_total == 0


async def test_drain_by_call_refuses_hands_back_at_its_deadline_and_turns_health_off(
    start_engine: Start, dial: Dial
) -> None:
    engine = await start_engine()
    assert await health_of(engine.address) == health_pb2.HealthCheckResponse.SERVING
    link = await dial(engine.address)
    await link.send(opening())
    await link.read_until("granted")
    reply = await ask(engine.address, "Drain", engine_pb2.DrainRequest(deadline_ms=100), engine_pb2.DrainReply)
    assert reply.open_streams == 1
    assert await health_of(engine.address) == health_pb2.HealthCheckResponse.NOT_SERVING
    await link.send(opening(2))
    assert (await link.read_until("refused", stream_id=2)).refused.reason == "draining"
    assert (await link.read_until("lost")).lost.reason == "drained"
    assert engine.process.returncode is None


async def test_load_reports_come_at_least_every_heartbeat_interval(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine("--heartbeat-interval-ms", "100")
    link = await dial(engine.address)
    assert await link.read()
    began_at_s = asyncio.get_running_loop().time()
    for _ in range(10):
        assert await link.read()
    assert asyncio.get_running_loop().time() - began_at_s < 10 * 0.1 * 2
    assert len(link.loads) == 11
    assert link.loads[0].heartbeat_interval_ms == 100


async def test_a_message_that_is_none_closes_its_link_and_no_other(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine()
    good, bad = await dial(engine.address), await dial(engine.address)
    await good.send(opening())
    await good.read_until("granted")
    await bad.call.write(b"\xff\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await bad.read_to_end()
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    finish = engine_pb2.StreamCommand(stream_id=1, finish=engine_pb2.Cut(at_sample=0))
    await good.send(finish)
    assert (await good.read_until("final")).final.reason == "finish"


async def test_a_message_beyond_the_limit_closes_its_link_and_no_other(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine()
    good, bad = await dial(engine.address), await dial(engine.address)
    await bad.send(engine_pb2.StreamCommand(stream_id=1, audio=bytes(5 * 1024 * 1024)))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await bad.read_to_end()
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await good.send(opening())
    assert (await good.read_until("granted")).granted.window_samples == 80_000


async def test_a_gateway_that_dies_gives_its_slots_back(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine("--heartbeat-interval-ms", "40")
    left, stays = await dial(engine.address), await dial(engine.address)
    await left.send(*[opening(stream_id) for stream_id in range(1, 5)])
    await left.read_until("granted", stream_id=4)
    left.call.cancel()
    while not stays.loads or stays.loads[-1].slots_used != 0:
        assert await stays.read()
