"""Several processes behind one port, kept running, and none left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from gateway.webtransport.client.session import End
from gateway.webtransport.processes import EdgeFailed
from gateway.wire.stream_messages import TEXT
from tests.harness.region import is_gone
from tests.harness.waiting import until, until_true
from tests.harness.webtransport_processes import HELLO, Processes, edge_processes

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.webtransport.client.session import ClientSession

pytestmark = pytest.mark.integration


async def hello(session: ClientSession) -> None:
    async with asyncio.timeout(60):
        assert await anext(session.messages()) == (TEXT, HELLO)


def sessions(processes: Processes, index: int) -> float | None:
    return processes.figure("patchbay_webtransport_sessions", process=str(index))


def served_by(processes: Processes) -> list[float]:
    """Sessions that ended as the gateway said, of each process."""
    name = "patchbay_webtransport_sessions_ended_total"
    return [processes.figure(name, by="gateway", process=str(index)) or 0.0 for index in range(2)]


async def one_more(processes: Processes) -> None:
    async with processes.open() as session:
        await hello(session)
        await session.send(TEXT, b"bye")
        assert [message async for message in session.messages()] == []
        assert (session.close_code, session.close_reason) == (4_444, "as asked")


async def test_two_processes_serve_one_port_are_restarted_and_leave_nobody_waiting(tmp_path: Path) -> None:
    """One test, because processes take their time to start."""
    async with edge_processes(tmp_path, processes=2) as processes:
        edges = processes.edges
        before = list(edges.pids)
        assert len(before) == 2
        opened = 0

        async def both_have_served() -> bool:
            nonlocal opened
            for _ in range(8):
                await one_more(processes)
                opened += 1
            await until(lambda: sum(served_by(processes)) == opened, what="the figures")
            return all(served_by(processes))

        await until_true(both_have_served, what="that chance brings somebody to each process")
        async with processes.open() as first:
            await hello(first)
            await until(lambda: sum(sessions(processes, index) or 0 for index in range(2)) == 1, what="the figures")
            at = next(index for index in range(2) if sessions(processes, index))
            os.kill(before[at], signal.SIGKILL)
            await until(lambda: len(edges.pids) == 2 and before[at] not in edges.pids, what="another process")
            assert before[1 - at] in edges.pids, "the other one has nothing to do with it"
            await until(lambda: sessions(processes, at) is not None, what="that it serves")
            began_s = asyncio.get_running_loop().time()
            await first.send(TEXT, b"are you there?")  # a stateless reset answers
            async with asyncio.timeout(60):
                await first.wait_closed()
            assert first.ended is not None
            assert first.ended.how is End.lost
            assert asyncio.get_running_loop().time() - began_s < 5, "the idle limit is 30 s"
        for _ in range(4):
            await one_more(processes)
        assert set(processes.peers) == {"127.0.0.1"}
        pids = list(edges.pids)
    await until(lambda: all(map(is_gone, pids)), what="the end of the processes")


async def test_one_that_stands_still_is_replaced_and_stopping_tells_clients_to_come_again(tmp_path: Path) -> None:
    async with edge_processes(tmp_path, silent_s=3.0) as processes:
        (frozen,) = processes.edges.pids
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: processes.edges.pids not in ([], [frozen]), what="another process")
        assert is_gone(frozen)
        await until(lambda: sessions(processes, 0) == 0, what="that it serves")
        await _told_when_stopped(processes)


async def test_one_that_spoke_while_its_gateway_slept_is_let_live(tmp_path: Path) -> None:
    """A gateway that was stopped, or whose machine was, finds that long ago was the last word that it read."""
    async with edge_processes(tmp_path, silent_s=5.0) as processes:
        before = list(processes.edges.pids)
        await one_more(processes)
        time.sleep(7)  # noqa: ASYNC251 - nothing of the gateway may run
        for _ in range(2):
            await one_more(processes)
        assert processes.edges.pids == before


async def _told_when_stopped(processes: Processes) -> None:
    async with processes.open() as session:
        await hello(session)
        await processes.edges.stop()
        assert b"draining" in (await anext(session.messages()))[1]
        async with asyncio.timeout(60):
            await session.wait_closed()
        assert (session.close_code, session.close_reason) == (1_012, "draining; retry_after_ms=100")


async def test_a_process_that_cannot_start_is_a_failure_of_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(EdgeFailed):
        async with edge_processes(tmp_path, tls={"certificate_file": broken, "key_file": broken}):
            pytest.fail("it runs")


@pytest.mark.parametrize("line", ["5", "[]", "{}", "no json"])
async def test_a_process_that_says_what_is_not_ours_is_a_failure_of_the_start(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text(f"#!/bin/sh\necho '{line}'\nexec sleep 60\n")
    other.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(other))
    async with asyncio.timeout(60):
        with pytest.raises(EdgeFailed):
            async with edge_processes(tmp_path):
                pytest.fail("it runs")


async def test_why_the_system_starts_no_process_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    with pytest.raises(EdgeFailed, match="No such file or directory"):
        async with edge_processes(tmp_path):
            pytest.fail("it runs")


async def test_one_that_cannot_be_started_again_is_tried_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text('#!/bin/sh\necho \'{"certificate_sha256":"aa","is_self_signed":true}\'\nexec sleep 60\n')
    other.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(other))
    async with edge_processes(tmp_path) as processes:
        (first,) = processes.edges.pids
        monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
        os.kill(first, signal.SIGKILL)
        await until(lambda: not processes.edges.pids, what="its end")
        monkeypatch.setattr(sys, "executable", str(other))
        await until(lambda: processes.edges.pids not in ([], [first]), what="another process")


async def test_a_process_hears_that_its_gateway_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, heard = tmp_path / "other", tmp_path / "heard"
    other.write_text(
        '#!/bin/sh\nread settings\necho \'{"certificate_sha256":"aa","is_self_signed":true}\'\n'
        f"read one && read two && touch {heard}\nexec sleep 60\n"
    )
    other.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(other))
    async with edge_processes(tmp_path):
        await until(heard.exists, what="that it was spoken to")
