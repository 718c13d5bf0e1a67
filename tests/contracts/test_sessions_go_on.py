"""What every transport promises to a client whose connection broke; each promise is tried over each of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway.cli.connection import ConnectionFailed
from gateway.errors import Reason
from gateway.wire.messages import (
    Ack,
    Audio,
    AudioLost,
    AudioSpec,
    Endpointing,
    ErrorMessage,
    Finalize,
    FinalMessage,
    Finish,
    Finished,
    Gap,
    Resume,
    Start,
    Started,
)
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.wire.messages import ServerMessage

pytestmark = pytest.mark.integration

PCM_100_MS = b"\x01\x00" * 1_600
DEADLINE_S = 60.0


@pytest.fixture(params=["ws", "grpc", "webtransport"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.asynccontextmanager
async def gateway_with(state: Path, **options: Any) -> AsyncIterator[GatewayInProcess]:
    async with (
        asyncio.timeout(3 * DEADLINE_S),
        running_gateway(state, asyncio.get_running_loop(), **options) as gateway,
    ):
        yield gateway


async def broken_off(gateway: GatewayInProcess, transport: str, start: Start, **claims: Any) -> tuple[str, int]:
    """A session with one final and some audio after it, whose client is gone; its resume token and last `ack`."""
    async with gateway.connect(transport, gateway.token(**claims)) as client:
        for message in (start, Audio(PCM_100_MS), Finalize("a"), Audio(PCM_100_MS)):
            await client.send(message)
        token, messages = "", client.messages()
        while True:
            message = await anext(messages)
            if isinstance(message, Started):
                token = message.resume_token
                assert message.resume_at == ("ws://here/v1/stream", "grpc://here")
                assert message.resumed_from_sample is None
            if isinstance(message, Ack):
                return token, message.sample


async def gone_on_with(
    gateway: GatewayInProcess, transport: str, start: Start, *, in_header: str = "", **claims: Any
) -> list[ServerMessage]:
    """A client that says `start`, 100 ms and `finish`."""
    token = gateway.token(**claims)
    async with gateway.connect(transport, token, resume_token=in_header) as client:
        for message in (start, Audio(PCM_100_MS), Finish()):
            await client.send(message)
        async with asyncio.timeout(DEADLINE_S):
            return [message async for message in client.messages()]


async def reason_of(gateway: GatewayInProcess, transport: str, start: Start, **options: Any) -> str:
    """Why it was refused, told by a message or before there could be one."""
    try:
        last = (await gone_on_with(gateway, transport, start, **options))[-1]
    except ConnectionFailed as failed:
        return next(reason.value for reason in Reason if f" {reason.value}:" in str(failed))
    assert isinstance(last, ErrorMessage), last
    return last.reason


@pytest.mark.parametrize("is_in_header", [False, True])
async def test_a_session_goes_on_from_its_last_ack_with_its_name_and_its_clock(
    tmp_path: Path, transport: str, *, is_in_header: bool
) -> None:
    async with gateway_with(tmp_path) as gateway:
        token, sample = await broken_off(gateway, transport, Start())
        assert sample == 1_600
        first = gateway.pool.last.opened
        start = Start(resume=Resume(token=token, from_sample=sample))
        started, *rest = await gone_on_with(gateway, transport, start, in_header=token if is_in_header else "")
    assert isinstance(started, Started)
    assert started.session_id == first.session_id
    assert started.resumed_from_sample == sample
    assert started.resume_token not in ("", token)
    finals = [message for message in rest if isinstance(message, FinalMessage)]
    assert [(final.start_ms, final.end_ms) for final in finals] == [(100, 200)]
    assert rest[-1] == Finished(200)
    again = gateway.pool.last.opened
    assert (again.start_sample, again.session_id) == (sample, first.session_id)
    assert again.epoch > first.epoch
    assert bytes(gateway.pool.last.audio) == PCM_100_MS


async def test_what_is_sent_only_to_get_there_is_dropped(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        token, sample = await broken_off(gateway, transport, Start())
        start = Start(resume=Resume(token=token, from_sample=sample, audio_from_ms=50))
        heard = await gone_on_with(gateway, transport, start)
    assert heard[-1] == Finished(150)
    assert bytes(gateway.pool.last.audio) == PCM_100_MS[: len(PCM_100_MS) // 2]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
async def test_a_gap_that_is_told_again_is_dropped_as_far_as_it_is_final_and_told_for_the_rest(
    tmp_path: Path, transport: str, rate_hz: int
) -> None:
    """From 50 ms on 100 ms are lost; what follows the `ack` at 100 ms is what the client hears of."""
    spec = AudioSpec(sample_rate_hz=rate_hz)
    piece = bytes(2 * rate_hz // 20)
    async with gateway_with(tmp_path) as gateway:
        token, sample = await broken_off(gateway, transport, Start())
        resume = Resume(token=token, from_sample=sample, audio_from_ms=0)
        async with gateway.connect(transport, gateway.token()) as client:
            said = (Start(audio=spec, resume=resume), Audio(piece), Gap(rate_hz // 10), Audio(piece), Finish())
            for message in said:
                await client.send(message)
            async with asyncio.timeout(DEADLINE_S):
                heard = [message async for message in client.messages()]
    assert [message for message in heard if isinstance(message, AudioLost)] == [AudioLost(100, 150)]
    assert heard[-1] == Finished(200)
    assert bytes(gateway.pool.last.audio) == bytes(3_200)


async def test_the_same_session_may_be_written_in_another_way(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        token, sample = await broken_off(gateway, transport, Start())
        start = Start(audio=AudioSpec(channels=2), resume=Resume(token=token, from_sample=sample))
        assert (await gone_on_with(gateway, transport, start))[-1] == Finished(150)


async def test_a_client_that_missed_the_end_can_hear_it_again(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        token, _ = await broken_off(gateway, transport, Start())
        start = Start(resume=Resume(token=token, from_sample=1_600))
        heard = await gone_on_with(gateway, transport, start)
        again = msgspec.structs.replace(start, resume=Resume(token=token, from_sample=1_600))
        assert [type(message) for message in await gone_on_with(gateway, transport, again)] == [
            type(message) for message in heard
        ]


async def test_nobody_goes_on_with_a_session_of_somebody_else(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        token, sample = await broken_off(gateway, transport, Start(), tenant="acme", project="web")
        start = Start(resume=Resume(token=token, from_sample=sample))
        for claims in ({"tenant": "beta", "project": "web"}, {"tenant": "acme"}, {"tenant": "acme", "project": "x"}):
            for in_header in ("", token):
                found = await reason_of(gateway, transport, start, in_header=in_header, **claims)
                assert found == Reason.resume_token_invalid
        other_profile = {"tenant": "acme", "project": "web", "residency": "eu"}
        assert await reason_of(gateway, transport, start, **other_profile) == Reason.resume_not_possible
        assert (await gone_on_with(gateway, transport, start, tenant="acme", project="web"))[-1] == Finished(200)


async def test_a_token_that_we_did_not_make_is_refused(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        token, _ = await broken_off(gateway, transport, Start())
        for forged in (token[:-4] + "AAAA", "x", gateway.token()):
            start = Start(resume=Resume(token=forged, from_sample=0))
            assert await reason_of(gateway, transport, start) == Reason.resume_token_invalid
            assert await reason_of(gateway, transport, start, in_header=forged) == Reason.resume_token_invalid


async def test_a_session_goes_on_with_the_options_that_it_began_with(tmp_path: Path, transport: str) -> None:
    began = Start(language="en", endpointing=Endpointing(500))
    async with gateway_with(tmp_path) as gateway:
        token, sample = await broken_off(gateway, transport, began)
        resume = Resume(token=token, from_sample=sample)
        heard = await gone_on_with(gateway, transport, Start(language="en", resume=resume))
        assert isinstance(heard[-1], ErrorMessage)
        assert heard[-1].reason == Reason.bad_option
        assert "endpointing" in heard[-1].message
        assert "language" not in heard[-1].message
        same = msgspec.structs.replace(began, resume=resume)
        assert (await gone_on_with(gateway, transport, same))[-1] == Finished(200)


async def test_a_header_and_a_start_that_do_not_fit_together_are_refused(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        token, sample = await broken_off(gateway, transport, Start())
        other, _ = await broken_off(gateway, transport, Start())
        start = Start(resume=Resume(token=token, from_sample=sample))
        assert await reason_of(gateway, transport, start, in_header=other) == Reason.bad_option
        assert await reason_of(gateway, transport, Start(), in_header=token) == Reason.bad_option


async def test_whoever_had_the_session_hears_that_it_goes_on_elsewhere(tmp_path: Path, transport: str) -> None:
    """And its place is free for it, where there is only one."""
    async with (
        gateway_with(tmp_path, max_sessions=1) as gateway,
        gateway.connect(transport, gateway.token()) as old,
    ):
        for message in (Start(), Audio(PCM_100_MS), Finalize("a")):
            await old.send(message)
        messages = old.messages()
        started = await anext(messages)
        assert isinstance(started, Started)
        start = Start(resume=Resume(token=started.resume_token, from_sample=0))
        heard = await gone_on_with(gateway, transport, start, in_header=started.resume_token)
        assert heard[-1] == Finished(100)
        rest = [message async for message in messages]
    assert isinstance(rest[-1], ErrorMessage)
    assert rest[-1].reason == Reason.resumed_elsewhere
