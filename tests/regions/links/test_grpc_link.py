"""Promises of a link, against real engine processes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from engines.interface import Granted, LossReason, Lost, RefusalReason, Refused
from regions.links.grpc_link import GrpcLink
from regions.links.settings import LinkSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.integration

RunLink = Callable[..., Awaitable[GrpcLink]] if TYPE_CHECKING else Any


async def test_a_stream_is_granted_heard_and_finished(engines: Any, run_link: RunLink, tools: Any) -> None:
    await engines.start()
    link = await run_link(engines.address())
    session = await tools.granted_session(link)
    assert session.events == [Granted(1, "scripted", "scripted-4", 80_000)]
    for _ in range(12):
        session.speak(7)
    session.stream.finalize(session.sent_samples)
    session.speak(9)
    session.finish()
    await tools.until(lambda: session.is_finished)
    assert session.texts == ["w0v7 w8000v7 w16000v7", "w19200v9"]
    assert [(final.start_sample, final.end_sample) for final in session.finals] == [(0, 19_200), (19_200, 20_800)]
    assert link.open_streams == 0


async def test_nothing_is_called_back_from_inside_open(engines: Any, run_link: RunLink, tools: Any) -> None:
    link = await run_link(engines.address(), waits=False)
    session = tools.open_session(link)
    assert session.events == []
    await tools.until(lambda: bool(session.events))
    assert session.events == [Refused(1, RefusalReason.unreachable, 500)]


@pytest.mark.parametrize("path", [f"/tmp/{'x' * 200}", "/tmp/\0", "/proc/none"])
async def test_a_path_that_cannot_be_dialled_is_tried_for_ever(path: str) -> None:
    """It may come from a registry: a link that fails would take all others of its gateway with it."""
    link = GrpcLink(f"unix:{path}", LinkSettings(local_probe_ms=1, connect_timeout_ms=50), gateway="g")
    running = asyncio.create_task(link.run())
    done, _ = await asyncio.wait({running}, timeout=0.3)
    assert not done
    assert not link.is_connected
    running.cancel()


async def test_a_refusal_and_a_cancel_leave_nothing_behind(engines: Any, run_link: RunLink, tools: Any) -> None:
    await engines.start("--slots", "1")
    link = await run_link(engines.address())
    first = await tools.granted_session(link)
    second = tools.open_session(link)
    await tools.until(lambda: bool(second.events))
    assert second.events == [Refused(1, RefusalReason.no_free_slot, 500)]
    first.speak(1, 16_000)
    first.stream.cancel()
    first.stream.cancel()
    third = tools.open_session(link)
    await tools.until(lambda: third.is_granted)
    assert first.events == [Granted(1, "scripted", "scripted-4", 80_000)]
    assert link.open_streams == 1


async def test_a_killed_engine_loses_each_stream_once_and_the_link_comes_back_soon(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    await engines.start()
    link = await run_link(engines.address(), reconnect_min_ms=10_000, reconnect_max_ms=60_000)
    sessions = [await tools.granted_session(link) for _ in range(5)]
    await engines.kill()
    await tools.until(lambda: all(session.answers[-1] == Lost(1, LossReason.link_lost) for session in sessions))
    for session in sessions:
        session.speak(1)
        session.finish()
    assert not link.is_connected
    await engines.start()
    listening_at_s = time.monotonic()
    await tools.until(lambda: link.is_connected)
    assert time.monotonic() - listening_at_s < 5, "the socket is asked more often than a connection is tried"
    again = await tools.granted_session(link)
    again.finish()
    await tools.until(lambda: again.is_finished)
    assert all(len(session.answers) == 2 for session in sessions)


async def test_a_link_over_tcp_comes_back_too(engines: Any, run_link: RunLink, tools: Any, free_port: int) -> None:
    address = f"127.0.0.1:{free_port}"
    await engines.start("--listen", address)
    link = await run_link(address, reconnect_max_ms=100)
    session = await tools.granted_session(link)
    await engines.kill()
    await tools.until(lambda: session.answers[-1] == Lost(1, LossReason.link_lost))
    await engines.start("--listen", address)
    await tools.until(lambda: link.is_connected)


async def test_an_engine_whose_inference_hangs_is_lost_after_the_liveness_budget(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    await engines.start("--script", "hang_after_words=1", "--heartbeat-interval-ms", "50")
    link = await run_link(engines.address(), liveness_ms=400)
    stuck, waiting = await tools.granted_session(link), await tools.granted_session(link)
    stuck.speak(1, 16_000)
    await tools.until(lambda: bool(waiting.answers[1:]))
    assert stuck.answers[-1] == waiting.answers[-1] == Lost(1, LossReason.link_lost)


async def test_a_frozen_engine_is_lost_and_taken_back_when_it_thaws(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    process = await engines.start("--heartbeat-interval-ms", "50")
    link = await run_link(engines.address(), liveness_ms=300, connect_timeout_ms=300)
    session = await tools.granted_session(link)
    process.send_signal(19)  # SIGSTOP
    await tools.until(lambda: session.answers[-1] == Lost(1, LossReason.link_lost))
    process.send_signal(18)  # SIGCONT
    await tools.until(lambda: link.is_connected)
    await tools.until(lambda: link.load is not None and link.load.slots_used == 0)


async def test_an_engine_that_does_not_read_is_lost_when_the_queue_is_full(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    process = await engines.start()
    link = await run_link(engines.address(), liveness_ms=60_000, max_queued_bytes=1_000_000)
    session = await tools.granted_session(link)
    process.send_signal(19)  # SIGSTOP

    def speak_until_lost() -> bool:
        session.speak(1, 16_000)
        return session.answers[-1] == Lost(1, LossReason.link_lost)

    await tools.until(speak_until_lost)
    process.send_signal(18)  # SIGCONT


async def test_two_gateways_share_an_engine_and_hear_only_their_own(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    await engines.start("--slots", "40")
    links = [await run_link(engines.address()), await run_link(engines.address())]
    sessions = [await tools.granted_session(links[number % 2]) for number in range(40)]
    for _ in range(15):
        for number, session in enumerate(sessions):
            session.speak(number)
        await asyncio.sleep(0)
    for session in sessions:
        session.finish()
    await tools.until(lambda: all(session.is_finished for session in sessions))
    for number, session in enumerate(sessions):
        assert session.texts == [f"w0v{number} w8000v{number} w16000v{number}"]


async def test_a_session_that_throws_loses_its_stream_and_no_other(engines: Any, run_link: RunLink, tools: Any) -> None:
    await engines.start()
    link = await run_link(engines.address())
    good = await tools.granted_session(link)

    def throw(_: object) -> None:
        raise ZeroDivisionError

    link.open(tools.asking(), throw)
    good.speak(3, 8_000)
    good.finish()
    await tools.until(lambda: good.is_finished)
    await tools.until(lambda: link.load is not None and link.load.slots_used == 0)
    assert link.is_connected


async def test_a_stream_of_an_engine_that_fails_is_lost_and_the_link_stays(
    engines: Any, run_link: RunLink, tools: Any
) -> None:
    await engines.start("--script", "fail_after_words=1")
    link = await run_link(engines.address())
    session = await tools.granted_session(link)
    session.speak(1, 24_000)
    await tools.until(lambda: session.answers[-1] == Lost(1, LossReason.engine_failed))
    again = await tools.granted_session(link)
    again.speak(2, 8_000)
    again.finish()
    await tools.until(lambda: again.texts == ["w0v2"])


async def test_a_link_that_is_ended_loses_its_streams(engines: Any, tools: Any) -> None:
    await engines.start()
    link = GrpcLink(engines.address(), LinkSettings(), gateway="test")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run())
        await tools.until(lambda: link.is_connected)
        session = await tools.granted_session(link)
        running.cancel()
    assert session.answers[-1] == Lost(1, LossReason.link_lost)


async def test_audio_longer_than_a_command_goes_in_pieces(engines: Any, run_link: RunLink, tools: Any) -> None:
    await engines.start("--script", "window_ms=60000")
    link = await run_link(engines.address())
    session = await tools.granted_session(link)
    session.speak(5, 20 * 16_000)
    session.finish()
    await tools.until(lambda: session.is_finished)
    assert sum(len(final.words) for final in session.finals) == 40
