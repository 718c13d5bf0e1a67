"""A caller of the lab against a gateway that says what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from regions.lab.call_record import CallRecord
from regions.lab.callers import Call, CallPlan
from regions.lab.speech import speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

STARTED = {"type": "started", "session_id": "s", "model": "m", "model_version": "v", "region": "west"}
PCM = speech("synthetic", voice=1, duration_ms=2_000)


def final(text: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    word = {"text": text, "start_ms": start_ms, "end_ms": end_ms, "confidence": 1.0}
    return {"type": "final", "text": text, "start_ms": start_ms, "end_ms": end_ms, "words": [word]}


@dataclass
class Gateway:
    """Says one script for each connection; a script's last word None breaks the connection without a word."""

    scripts: list[list[dict[str, Any] | None]]
    url: str = ""
    starts: list[dict[str, Any]] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        script = self.scripts.pop(0)
        self.starts.append(json.loads((await socket.receive()).data))
        self.heard.append(b"")
        while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
            self.heard[-1] += message.data
        for said in script:
            if said is None:
                if request.transport is not None:
                    request.transport.abort()
                return socket
            with contextlib.suppress(ConnectionResetError):
                await socket.send_str(json.dumps(said))
        await socket.close()
        return socket


@contextlib.asynccontextmanager
async def gateway_that_says(*scripts: list[dict[str, Any] | None]) -> AsyncIterator[tuple[Gateway, CallRecord, Call]]:
    gateway = Gateway(list(scripts))
    app = web.Application()
    app.router.add_get("/v1/stream", gateway.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/stream"
    record = CallRecord(1, "", ("synthetic", 1, 2_000))
    async with aiohttp.ClientSession() as http:
        plan = CallPlan([gateway.url], "token", PCM, 0.0)
        yield gateway, record, Call(http, plan, record, random.Random(1))
    await runner.cleanup()


async def test_a_session_is_written_down() -> None:
    moved = {
        "type": "migrated",
        "reason": "link_lost",
        "replayed_ms": 1,
        "pause_elapsed_ms": 7,
        "engine_region": "east",
    }
    script = [STARTED, final("one", 0, 500), moved, final("two", 500, 1_000), {"type": "finished", "audio_ms": 2_000}]
    async with gateway_that_says([*script]) as (gateway, record, call):
        await asyncio.wait_for(call.run(), 60)
    assert gateway.heard == [PCM]
    assert record.is_finished
    assert [word.text for word in record.words] == ["one", "two"]
    assert record.regions == ["west", "east"]
    assert [(move.from_region, move.to_region, move.told_pause_ms) for move in record.moves] == [("west", "east", 7)]


async def test_a_broken_session_goes_on_from_its_last_ack_and_has_every_word_once() -> None:
    """The final behind the last `ack` comes again; the caller kept only what the `ack` covers."""
    ack = {"type": "ack", "audio_ms": 500, "sample": 8_000}
    started = STARTED | {"resume_token": "go-on"}
    first = [started, final("one", 0, 500), ack, final("two", 500, 1_000), None]
    resumed = started | {"resumed_from_sample": 8_000, "region": "east"}
    second = [resumed, final("two", 500, 1_000), {"type": "finished", "audio_ms": 2_000}]
    async with gateway_that_says(first, [*second]) as (gateway, record, call):
        await asyncio.wait_for(call.run(), 60)
    assert record.is_finished, record
    assert [word.text for word in record.words] == ["one", "two"]
    assert gateway.starts[1]["resume"] == {"token": "go-on", "from_sample": 8_000}
    assert gateway.heard[1] == PCM[16_000:]
    assert [(move.reason, move.is_resume, move.to_region) for move in record.moves] == [("gateway_lost", True, "east")]


async def test_a_session_that_breaks_without_a_token_has_failed() -> None:
    async with gateway_that_says([STARTED, None]) as (_, record, call):
        await asyncio.wait_for(call.run(), 60)
    assert not record.is_finished
    assert record.failure


async def test_a_refused_session_is_tried_again_and_the_refusal_is_counted() -> None:
    refused = {"type": "error", "reason": "no_capacity", "message": "", "retryable": True, "retry_after_ms": 1}
    async with gateway_that_says([refused], [STARTED, {"type": "finished", "audio_ms": 1}]) as (_, record, call):
        await asyncio.wait_for(call.run(), 60)
    assert (record.is_finished, record.refusals) == (True, ["no_capacity"])


async def test_a_session_that_ends_with_an_error_for_good_has_failed() -> None:
    error = {"type": "error", "reason": "bad_option", "message": "", "retryable": False, "retry_after_ms": None}
    started = STARTED | {"resume_token": "go-on"}
    async with gateway_that_says([started, error]) as (_, record, call):
        await asyncio.wait_for(call.run(), 60)
    assert record.failure == "bad_option"


async def test_a_caller_that_is_sent_on_goes_to_the_gateway_that_was_named() -> None:
    async with gateway_that_says([STARTED, {"type": "finished", "audio_ms": 2_000}]) as (gateway, record, _):

        async def send_on(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": gateway.url})

        app = web.Application()
        app.router.add_get("/v1/stream", send_on)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        plan = CallPlan([f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/stream"], "token", PCM, 0.0)
        async with aiohttp.ClientSession() as http:
            await asyncio.wait_for(Call(http, plan, record, random.Random(1)).run(), 60)
        await runner.cleanup()
    assert record.is_finished
    assert record.refusals == ["sent to another gateway"]
    assert (record.sessions, [stay.region for stay in record.stays]) == (["s"], ["west"])


async def test_a_caller_that_is_sent_on_in_its_session_goes_to_the_gateway_that_was_named() -> None:
    async with gateway_that_says([STARTED, {"type": "finished", "audio_ms": 2_000}]) as (there, _, _):
        told = {"type": "error", "reason": "wrong_region", "message": "", "retryable": False, "retry_after_ms": None}
        async with gateway_that_says([told | {"gateways": ["grpc://127.0.0.1:1", there.url]}]) as (_, record, call):
            await asyncio.wait_for(call.run(), 60)
    assert record.is_finished
    assert (record.refusals, there.heard, record.protocols) == (["wrong_region"], [PCM], ["ws"])


async def test_a_session_goes_on_where_a_gateway_that_empties_its_region_sends_it() -> None:
    ack = {"type": "ack", "audio_ms": 500, "sample": 8_000}
    async with gateway_that_says([STARTED, {"type": "finished", "audio_ms": 2_000}]) as (there, _, _):
        told = {"type": "error", "reason": "draining", "message": "", "retryable": True, "retry_after_ms": 1}
        first = [STARTED | {"resume_token": "go-on"}, ack, told | {"gateways": [there.url]}]
        async with gateway_that_says([*first]) as (_, record, call):
            await asyncio.wait_for(call.run(), 60)
    assert record.is_finished
    assert there.starts[0]["resume"] == {"token": "go-on", "from_sample": 8_000}


async def test_who_gets_no_answer_over_webtransport_is_served_over_websocket() -> None:
    loop = asyncio.get_running_loop()
    black_hole, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    port = black_hole.get_extra_info("sockname")[1]
    async with gateway_that_says([STARTED, {"type": "finished", "audio_ms": 2_000}]) as (gateway, record, _):
        plan = CallPlan(
            [gateway.url],
            "token",
            PCM,
            0.0,
            webtransports={gateway.url: f"https://127.0.0.1:{port}/v1/stream"},
            udp_patience_s=0.5,
        )
        async with aiohttp.ClientSession() as http:
            await asyncio.wait_for(Call(http, plan, record, random.Random(1)).run(), 30)
    black_hole.close()
    assert (record.is_finished, record.protocols) == (True, ["ws"])
    assert record.refusals == ["unreachable: no answer to WebTransport within 0.5 s"]


async def test_a_caller_over_websocket_passes_over_addresses_of_webtransport() -> None:
    async with gateway_that_says([STARTED, {"type": "finished", "audio_ms": 2_000}]) as (there, _, _):
        told = {"type": "error", "reason": "wrong_region", "message": "", "retryable": False, "retry_after_ms": None}
        named = ["https://127.0.0.1:1/v1/stream", there.url]
        async with gateway_that_says([told | {"gateways": named}]) as (_, record, call):
            await asyncio.wait_for(call.run(), 60)
    assert (record.is_finished, record.protocols, record.refusals) == (True, ["ws"], ["wrong_region"])


async def test_whoever_has_used_up_its_quota_does_not_come_back() -> None:
    spent = {"type": "error", "reason": "quota_exhausted", "message": "", "retryable": True, "retry_after_ms": 9_000}
    async with gateway_that_says([STARTED | {"resume_token": "go-on"}, spent]) as (_, record, call):
        await asyncio.wait_for(call.run(), 60)
    assert (record.failure, record.was_ended_by_quota) == ("quota_exhausted", True)
    assert record.told[-1].retry_after_ms == 9_000
