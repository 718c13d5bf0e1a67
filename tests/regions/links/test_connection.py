"""Promises of one connection: it notices silence in both directions, and tells streams to move at a pace."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from engines.interface import LossReason, Lost, MoveAway, MoveReason, RefusalReason
from engines.proto import engine_pb2, engine_pb2_grpc
from regions.links.grpc_link import GrpcLink
from regions.links.link_break import LinkBreak
from regions.links.outcomes import StreamCancelled, StreamFinished, StreamGranted, StreamOutcome, StreamRefused
from regions.links.settings import LinkSettings
from tests.harness.tcp_relay import TcpRelay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from regions.links.heartbeat import RttSample

pytestmark = pytest.mark.integration

RunLink = Callable[..., Awaitable[GrpcLink]] if TYPE_CHECKING else Any
LIVENESS_MS = 1_000
QUICK = {"heartbeat_interval_ms": 50, "liveness_ms": LIVENESS_MS}

FROZEN_GATEWAY = """
import asyncio, sys
from engines.interface import OpenStream, StreamOptions
from regions.links.grpc_link import GrpcLink
from regions.links.settings import LinkSettings
async def main():
    link = GrpcLink(sys.argv[1], LinkSettings(heartbeat_interval_ms=100), gateway="frozen")
    running = asyncio.create_task(link.run())
    while not link.is_connected:
        await asyncio.sleep(0.01)
    asked = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    link.open(asked, lambda event: print(event, flush=True))
    await running
asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["there", "back", "both"])
async def test_a_black_hole_in_either_direction_is_noticed_and_slots_are_free_again(
    engines: Any, run_link: RunLink, tools: Any, free_port: int, way: str
) -> None:
    await engines.start(
        *("--listen", f"127.0.0.1:{free_port}", "--heartbeat-interval-ms", "50", "--silent-intervals", "10")
    )
    async with TcpRelay(free_port) as relay:
        link = await run_link(f"127.0.0.1:{relay.port}", **QUICK)
        direct = await run_link(f"127.0.0.1:{free_port}")
        session = await tools.granted_session(link)
        await tools.until(lambda: link.rtt is not None)
        swallowed_at_s = time.monotonic()
        relay.swallow(there=way != "back", back=way != "there")
        await tools.until(lambda: session.answers[-1] == Lost(1, LossReason.link_lost))
        assert time.monotonic() - swallowed_at_s < (LIVENESS_MS + 1_000) / 1_000
        await tools.until(lambda: direct.load is not None and direct.load.slots_used == 0)
        await tools.until(lambda: link.last_break is not None)


async def test_a_frozen_gateway_s_slots_are_free_again(engines: Any, run_link: RunLink, tools: Any) -> None:
    await engines.start("--heartbeat-interval-ms", "50")
    watcher = await run_link(engines.address())
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FROZEN_GATEWAY, engines.address(), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert gateway.stdout is not None
        while b"Granted" not in (line := await asyncio.wait_for(gateway.stdout.readline(), 60)):
            assert line, "it ended"
        await tools.until(lambda: watcher.load is not None and watcher.load.slots_used == 1)
        gateway.send_signal(signal.SIGSTOP)
        await tools.until(lambda: watcher.load is not None and watcher.load.slots_used == 0)
    finally:
        gateway.kill()
        await gateway.communicate()


async def test_a_gateway_that_was_busy_itself_does_not_blame_its_engine(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    await engines.start("--heartbeat-interval-ms", "50", "--silent-intervals", "1000")
    link = await run_link(engines.address(), **QUICK)
    session = await tools.granted_session(link)
    heard_at_s = link.heard_at_s
    time.sleep(2 * LIVENESS_MS / 1_000)  # noqa: ASYNC251 - the loop is to stand still
    await tools.until(lambda: link.heard_at_s > heard_at_s + 3 * LIVENESS_MS / 1_000)
    session.finish()
    await tools.until(lambda: session.is_finished)
    assert link.last_break is None


async def test_round_trips_are_measured_beside_audio_and_alone(engines: Any, tools: Any) -> None:
    await engines.start()
    samples: list[RttSample] = []
    outcomes: list[StreamOutcome] = []
    settings = LinkSettings(heartbeat_interval_ms=50)
    link = GrpcLink(engines.address(), settings, gateway="test", on_rtt=samples.append, on_outcome=outcomes.append)
    running = asyncio.create_task(link.run())
    await tools.until(lambda: len(samples) >= 2)
    finished, cancelled = await tools.granted_session(link), await tools.granted_session(link)
    seen = len(samples)
    while len(samples) < seen + 3:
        finished.speak(1, 160)
        await asyncio.sleep(0.005)
    refused = tools.open_session(link, tools.asking(model="another"))
    await tools.until(lambda: bool(refused.events))
    finished.finish()
    await tools.until(lambda: finished.is_finished)
    cancelled.stream.cancel(LossReason.silent)
    assert all(0 < sample.rtt_us < 5_000_000 and abs(sample.clock_offset_ms) < 1_000 for sample in samples)
    assert [outcome for outcome in outcomes if not isinstance(outcome, StreamGranted)] == [
        StreamRefused(RefusalReason.unknown_model),
        StreamFinished(),
        StreamCancelled(LossReason.silent),
    ]
    assert len(outcomes) == 5
    assert link.has_failed_lately
    running.cancel()
    await asyncio.wait({running})


async def test_streams_of_a_draining_engine_are_told_to_move_each_once_at_a_pace(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    process = await engines.start("--drain-deadline-ms", "8000")
    link = await run_link(engines.address(), move_burst=2, moves_per_s=20, move_within_ms=10_000)
    sessions = [await tools.granted_session(link) for _ in range(6)]

    def told() -> list[MoveAway]:
        return [event for session in sessions for event in session.events if isinstance(event, MoveAway)]

    began_at_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    await tools.until(lambda: len(told()) == 6)
    assert time.monotonic() - began_at_s > 4 / 20 / 2
    assert {event.reason for event in told()} == {MoveReason.engine_draining}
    assert all(1_000 <= event.within_ms <= 8_000 for event in told()), "the engine has less than sessions are given"
    for session in sessions:
        session.speak(3, 8_000)
        session.finish()
    await tools.until(lambda: all(session.is_finished for session in sessions))
    assert all(session.texts == ["w0v3"] for session in sessions)
    assert len(told()) == 6


async def test_sessions_are_hurried_when_an_engine_that_drains_hears_that_it_has_less_time(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    await engines.start()
    link = await run_link(engines.address(), move_burst=1, moves_per_s=2, move_within_ms=20_000)
    sessions = [await tools.granted_session(link) for _ in range(3)]

    def told() -> list[MoveAway]:
        return [event for session in sessions for event in session.events if isinstance(event, MoveAway)]

    async with grpc.aio.insecure_channel(engines.address()) as channel:
        engine = engine_pb2_grpc.EngineStub(channel)  # type: ignore[no-untyped-call]
        await engine.Drain(engine_pb2.DrainRequest(deadline_ms=60_000))
        await tools.until(lambda: len(told()) == 1)
        await engine.Preempt(engine_pb2.PreemptRequest(lead_ms=5_000, kind="operator"))
    await tools.until(lambda: len(told()) == 3)
    assert sorted(event.within_ms > 5_000 for event in told()) == [False, False, True]


async def test_who_had_nowhere_to_go_hears_again_that_the_engine_goes_away(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    await engines.start("--heartbeat-interval-ms", "50")
    link = await run_link(engines.address(), move_within_ms=1_000)
    session = await tools.granted_session(link)
    async with grpc.aio.insecure_channel(engines.address()) as channel:
        engine = engine_pb2_grpc.EngineStub(channel)  # type: ignore[no-untyped-call]
        await engine.Drain(engine_pb2.DrainRequest(deadline_ms=60_000))

    def told() -> int:
        return sum(isinstance(event, MoveAway) for event in session.events)

    await tools.until(lambda: told() == 1)
    told_at_s = time.monotonic()
    await tools.until(lambda: told() == 2)
    assert time.monotonic() - told_at_s > 0.9


async def test_an_engine_that_does_not_answer_in_time_is_unreachable(tools: Any, run_link: RunLink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        link = await run_link(f"127.0.0.1:{port}", waits=False, connect_timeout_ms=100)
        await tools.until(lambda: link.last_break is LinkBreak.unreachable)
