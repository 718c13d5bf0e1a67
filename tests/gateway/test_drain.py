"""The way out: clients are told before anything is cut, and every step has its bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engines.interface import EndReason, FinalResult, Granted, Word
from gateway.drain import Readiness, drain
from gateway.errors import Reason, Unavailable
from gateway.wire.messages import Audio, ErrorMessage, FinalMessage, Start
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.fakes.engine_pool import WINDOW_SAMPLES, FakePool
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.session_runner import SessionRunner

pytestmark = pytest.mark.integration

HALF_SECOND = bytes(16_000)


class Port:
    def pause(self) -> None: ...
    def resume(self) -> None: ...


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    async with running_gateway(tmp_path, asyncio.get_running_loop()) as running:
        yield running


@pytest.fixture
async def mute_gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    """Its engines take audio and never answer."""
    async with running_gateway(tmp_path, asyncio.get_running_loop(), pool=FakePool(is_obliging=False)) as running:
        yield running


async def begin(gateway: GatewayInProcess) -> SessionRunner:
    request = gateway.reception.read_start(Start(token=gateway.token()))
    admitted = await gateway.reception.admit_start(request, None, None)
    return gateway.reception.begin(admitted, request, Port(), transport="test")


async def no_peers(_within_ms: int) -> None:
    """No other region has streams here."""


async def start_drain(
    gateway: GatewayInProcess, readiness: Readiness, *, announce_ms: int, finish_ms: int
) -> asyncio.Task[bool]:
    draining = asyncio.create_task(
        drain(readiness, gateway.reception, gateway.registry, no_peers, announce_ms=announce_ms, finish_ms=finish_ms)
    )
    await until(lambda: readiness.is_draining)
    return draining


async def is_refused(gateway: GatewayInProcess) -> bool:
    """Whether a new session is: the drain is past its announcement then."""
    try:
        admitted = await gateway.reception.admit(gateway.token())
    except Unavailable:
        return True
    admitted.tab.release()
    return False


async def ending_of(runner: SessionRunner) -> tuple[list[object], Reason | None]:
    messages, reason = await runner.queue.take()
    return list(messages), reason


async def test_an_empty_gateway_drains_at_once(gateway: GatewayInProcess) -> None:
    async with asyncio.timeout(60):
        assert await drain(Readiness(), gateway.reception, gateway.registry, no_peers, announce_ms=0, finish_ms=60_000)


async def test_while_it_is_announced_readiness_is_off_and_sessions_still_come(gateway: GatewayInProcess) -> None:
    readiness = Readiness()
    draining = await start_drain(gateway, readiness, announce_ms=60_000, finish_ms=0)
    runner = await begin(gateway)
    assert not runner.machine.is_closed
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    runner.client_gone()


async def test_then_new_sessions_are_refused_as_retryable(gateway: GatewayInProcess) -> None:
    assert await drain(Readiness(), gateway.reception, gateway.registry, no_peers, announce_ms=0, finish_ms=60_000)
    with pytest.raises(Unavailable) as refusal:
        await begin(gateway)
    assert (refusal.value.reason, refusal.value.retry_after_ms is not None) == (Reason.draining, True)


async def test_a_session_in_mid_utterance_gets_its_final_before_it_is_closed(mute_gateway: GatewayInProcess) -> None:
    runner = await begin(mute_gateway)
    engine = mute_gateway.pool.last
    engine.say(Granted(engine.opened.epoch, "fake", "v1", WINDOW_SAMPLES))
    runner.client_message(Audio(HALF_SECOND))
    draining = await start_drain(mute_gateway, Readiness(), announce_ms=0, finish_ms=60_000)
    await until_true(lambda: is_refused(mute_gateway))
    assert not runner.machine.is_closed
    word = Word("word", 0, 8_000, 1.0)
    engine.say(FinalResult(engine.opened.epoch, 0, 8_000, "word", (word,), EndReason.pause_after_speech))
    async with asyncio.timeout(60):
        assert await draining
    messages, reason = await ending_of(runner)
    assert reason is Reason.draining
    assert [message.text for message in messages if isinstance(message, FinalMessage)] == ["word"]
    assert isinstance(messages[-1], ErrorMessage)


async def test_what_does_not_end_in_time_hears_why_and_is_cut(mute_gateway: GatewayInProcess) -> None:
    runner = await begin(mute_gateway)
    runner.client_message(Audio(HALF_SECOND))
    async with asyncio.timeout(60):
        is_clean = await drain(
            Readiness(), mute_gateway.reception, mute_gateway.registry, no_peers, announce_ms=0, finish_ms=20
        )
    assert not is_clean
    assert len(mute_gateway.registry) == 0
    messages, reason = await ending_of(runner)
    assert reason is Reason.draining
    assert [message.reason for message in messages if isinstance(message, ErrorMessage)] == ["draining"]
