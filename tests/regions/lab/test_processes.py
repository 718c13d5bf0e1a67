"""The lab's process table, with small processes."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from regions.lab.processes import Member, ProcessFailed, ProcessTable
from tests.harness.region import is_gone
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

SLEEPS = """
import json, os, time
print(json.dumps({"pid": os.getpid()}), flush=True)
time.sleep(60)
"""


def member(folder: Path, code: str = SLEEPS) -> Member:
    return Member("engine/west/reserved-1", [sys.executable, "-c", code], {}, folder / "log")


async def test_what_is_killed_is_started_again_and_all_end_with_the_table(tmp_path: Path) -> None:
    async with ProcessTable() as table:
        started = await table.start(member(tmp_path))
        first = started.ready["pid"]
        assert started.is_up
        table.kill(started, down_s=0.0)
        assert not started.is_up
        await until(lambda: started.is_up and started.ready["pid"] != first, what="another process")
        second = started.ready["pid"]
    assert is_gone(first)
    assert is_gone(second)
    assert table.failures == []


async def test_what_is_killed_for_good_stays_away(tmp_path: Path) -> None:
    async with ProcessTable() as table:
        started = await table.start(member(tmp_path))
        table.kill(started, down_s=None)
        await until(lambda: not started.is_alive, what="its end")
        assert started.starts == 1


async def test_a_process_that_ends_before_it_is_ready_is_told_with_its_last_words(tmp_path: Path) -> None:
    async with ProcessTable() as table:
        with pytest.raises(ProcessFailed, match="no room"):
            await table.start(member(tmp_path, "import sys; sys.exit('no room')"))


async def test_a_slowed_process_is_stopped_a_part_of_the_time_and_runs_in_the_end(tmp_path: Path) -> None:
    async with ProcessTable() as table:
        started = await table.start(member(tmp_path))
        seen = psutil.Process(started.pid)
        slowing = asyncio.create_task(table.slow(started, stopped_permille=900, period_ms=50, for_s=0.3))
        await until(lambda: seen.status() == psutil.STATUS_STOPPED, what="a stop")
        await slowing
        await until(lambda: seen.status() != psutil.STATUS_STOPPED, what="its going on")


async def test_a_hung_process_ends_with_the_table_too(tmp_path: Path) -> None:
    async with ProcessTable() as table:
        started = await table.start(member(tmp_path))
        psutil.Process(started.pid).suspend()
    assert is_gone(started.pid)
