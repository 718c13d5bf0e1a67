"""A whole region under live sessions: gateway, exporter, Redis and engines are killed, and the bill is right.

As test_bill_survives_kills.py, but with the processes of `patchbay up` and real clients; the supervisor starts again
what was killed. The long form (--long, or PATCHBAY_LONG=1) kills more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest
import redis.asyncio

from gateway.cli.connection import ConnectionFailed
from tests.harness.caller import calling
from tests.harness.receivers import CloudEventsReceiver
from tests.harness.recordings import pieces_of, talk
from tests.harness.region import is_gone
from tests.harness.usage_books import NAMES, add_journal, add_received, add_sent_log, books_in_redis
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_800)]

SESSIONS = 6
WINDOW_SLICES = 5
SINK = "meter"
PROCESSES = {"gateway": "gateway", "exporter": "gateway.metering", "redis": "redis-server", "engine": "engines"}
SEED = 20_261_127


def pids(region: Region, victim: str) -> list[int]:
    """Of the processes of that kind that live."""
    found = []
    for child in psutil.Process(region.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            words = child.cmdline()
            name = words[0] if victim == "redis" and words else " ".join(words[2:3])
            is_meant = PROCESSES[victim] in name if victim == "redis" else name == PROCESSES[victim]
            if is_meant and not is_gone(child.pid):
                found.append(child.pid)
    return found


async def call_again_and_again(region: Region, number: int, is_enough: asyncio.Event) -> None:
    """One session after the other, each for some seconds or until the gateway dies under it."""
    dice = random.Random(SEED + number)
    pieces = pieces_of(talk(number, duration_ms=20_000))
    while not is_enough.is_set():
        with contextlib.suppress(ConnectionFailed, AssertionError):
            async with calling(region, "ws") as caller:
                await caller.start()
                await caller.until_started()
                for piece in pieces[: dice.randrange(5, 50)]:
                    if is_enough.is_set() or caller.error is not None:
                        break
                    await caller.say(piece)
                    await asyncio.sleep(0.05)
                await caller.finish()
                await caller.until_over(within_s=5)
        await asyncio.sleep(0.1)


async def kill_at_random(region: Region, dice: random.Random, victim: str) -> None:
    await asyncio.sleep(dice.uniform(0.2, 1.0))
    await until(lambda: bool(pids(region, victim)), within_s=30, what=f"a {victim}")
    pid = dice.choice(pids(region, victim))
    os.kill(pid, signal.SIGKILL)
    await until(lambda: bool(set(pids(region, victim)) - {pid}), within_s=30, what=f"another {victim}")


async def is_delivered(client: redis.asyncio.Redis, orgs: list[str]) -> bool:
    """Everything that was settled is recorded, and acknowledged by the exporter; no session is open."""
    try:
        books = await books_in_redis(client, orgs)
        if books.settled != books.recorded:
            return False
        for org in orgs:
            if await client.exists(f"{NAMES.org(org)}:leases:o"):
                return False
            groups = {group["name"].decode(): group for group in await client.xinfo_groups(NAMES.meter(org))}
            if groups[SINK]["pending"] or groups[SINK]["lag"] != 0:
                return False
    except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
        return False
    return True


async def test_what_live_sessions_used_is_billed_once_however_often_the_region_is_killed(
    new_region: Callable[..., Region], is_long: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    dice = random.Random(SEED)
    async with CloudEventsReceiver(seed=SEED) as receiver:
        receiver.faults.share = 0.2
        sink = {"kind": "http", "name": SINK, "url": receiver.endpoint, "timeout_ms": 1_000}
        metering = {
            "sinks": [sink],
            "state_directory": str(tmp_path / "exporter"),
            "listen": {"port": 0},
            "retry": {"first_ms": 20, "max_ms": 300},
            "poll_ms": 50,
            "survey_ms": 200,
            "dead_after_ms": 1_000,
        }
        region = new_region(
            *("--engines", "2", "--exporter"),
            metering=metering,
            limits__event_window_slices=WINDOW_SLICES,
            limits__slice_ms=300,
            limits__lease_ttl_ms=3_000,
            limits__sweep_interval_ms=500,
        )
        client = redis.asyncio.Redis.from_url(region.ready["redis"])
        orgs = ["dev"]
        for org in orgs:
            await client.xgroup_create(NAMES.meter(org), "witness", id="0", mkstream=True)
        is_enough = asyncio.Event()
        async with asyncio.TaskGroup() as sessions:
            for number in range(SESSIONS):
                sessions.create_task(call_again_and_again(region, number, is_enough))
            victims = list(PROCESSES) * (15 if is_long else 1)
            dice.shuffle(victims)
            for victim in victims:
                await kill_at_random(region, dice, victim)
            await asyncio.sleep(1.0)
            is_enough.set()
        receiver.faults.share = 0.0
        await until_true(partial(is_delivered, client, orgs), within_s=60, what="the delivery of all events")
        books = await books_in_redis(client, orgs)
        await client.aclose()
        await asyncio.to_thread(region.stop)
        add_journal(books, region.state / "region-0" / "journal", window_slices=WINDOW_SLICES)
        add_sent_log(books, tmp_path / "exporter")
        add_received(books, receiver)
    with capsys.disabled():
        print(f"\n{len(victims)} kills of a region's processes in {time.monotonic() - began_s:.0f} s: {books}")
    assert books.mistakes == []
    assert sum(books.settled.values()) > 0
    assert books.journaled == books.settled == books.recorded
    assert books.settled == books.streamed == books.sent == books.received
