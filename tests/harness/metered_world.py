"""Gateways, an exporter and a durable Redis that are killed at random, a receiver with faults, and all their books.

The gateways and the exporter are metered_gateway's; every one of them is a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

import msgspec
import redis.asyncio

from gateway.redis_link.keys import TAB_NUMBERS
from tests.harness.metered_gateway import ExporterOrder, GatewayOrder
from tests.harness.receivers import CloudEventsReceiver
from tests.harness.redis_server import RedisServer
from tests.harness.usage_books import NAMES, add_journal, add_received, add_sent_log, add_testimonies, books_in_redis
from tests.harness.waiting import Overdue, until, until_true
from tests.harness.witnessed_journal import testimonies

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.metered_gateway import Spawn
    from tests.harness.usage_books import Books

WINDOW_SLICES = 5
SINK = "meter"
WITNESS_GROUP = "witness"
"""A consumer group that never acknowledges: nothing is trimmed."""
_FAULTY_SHARE = 0.2


class Nursery:
    """The process that all others are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.metered_gateway"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answer()

    def fork(self, order: Spawn) -> int:
        """Gives the child's process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def stop(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.kill()
        self._process.wait()


class MeteredWorld:
    """Everything lives in `folder`; the receiver lives in the test's loop. Use it as an async context."""

    def __init__(self, folder: Path, *, gateways: int, sessions: int, orgs: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.receiver = CloudEventsReceiver(seed=seed)
        self.orgs = tuple(f"org-{number}" for number in range(orgs))
        self._folder = folder
        self._names = [f"gateway-{number}" for number in range(gateways)]
        self._sessions = sessions
        self._lives: Counter[str] = Counter()
        self._pids: dict[str, int] = {}
        self._epoch_ms = time.time_ns() // 1_000_000
        self._redis = RedisServer(folder / "redis", is_durable=True)

    async def __aenter__(self) -> Self:
        for name in ("witness", "logs", "journals"):
            (self._folder / name).mkdir()
        self._nursery = await asyncio.to_thread(Nursery)
        await self.receiver.start()
        self.receiver.faults.share = _FAULTY_SHARE
        await asyncio.to_thread(self._redis.start)
        async with self.redis() as client:
            for org in self.orgs:
                await client.xgroup_create(NAMES.meter(org), WITNESS_GROUP, id="0", mkstream=True)
        for name in (*self._names, "exporter"):
            self._spawn(name)
        return self

    async def __aexit__(self, *_error: object) -> None:
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._nursery.stop()
        self._redis.stop()
        await self.receiver.stop()

    def redis(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(host="127.0.0.1", port=self._redis.port)

    # Lives

    def _spawn(self, name: str, *, has_sessions: bool = True) -> None:
        self._lives[name] += 1
        log = str(self._folder / "logs" / f"{name}.log")
        if name == "exporter":
            order: Spawn = ExporterOrder(self._exporter_settings(), {"urls": [self._redis.url]}, log)
        else:
            order = GatewayOrder(
                settings=self._limit_settings(name),
                witness=str(self._folder / "witness" / f"{name}-{self._lives[name]}"),
                log=log,
                orgs=self.orgs,
                sessions=self._sessions if has_sessions else 0,
                session_s=2.0,
                epoch_ms=self._epoch_ms,
                fast_clock=600,
            )
        self._pids[name] = self._nursery.fork(order)

    def _limit_settings(self, name: str) -> dict[str, object]:
        return {
            "redis": {"urls": [self._redis.url]},
            "journal": {"directory": str(self._folder / "journals" / name), "group_commit_ms": 20},
            "tick_ms": 50,
            "slice_ms": 200,
            "lease_ttl_ms": 1_500,
            "event_window_slices": WINDOW_SLICES,
            "sweep_interval_ms": 500,
            "away": {"slice_ms": 400},
        }

    def _exporter_settings(self) -> dict[str, object]:
        sink = {
            "kind": "http",
            "name": SINK,
            "url": self.receiver.endpoint,
            "timeout_ms": 1_000,
            "batch_events": 50,
        }
        return {
            "sinks": [sink],
            "state_directory": str(self._folder / "exporter"),
            "listen": {"port": 0},
            "retry": {"first_ms": 20, "max_ms": 300},
            "poll_ms": 50,
            "survey_ms": 200,
            "dead_after_ms": 1_000,
        }

    # Kills

    async def kill_at_random(self) -> None:
        """One of all, and at once it is there again; now and then a gateway only after its places were taken."""
        victim = self.dice.choice([*self._names, "exporter", "redis"])
        self.kills[victim.partition("-")[0]] += 1
        if victim == "redis":
            await asyncio.to_thread(self._redis.restart)
            return
        await self._kill(victim)
        if victim != "exporter" and self.dice.random() < 0.05:
            await asyncio.sleep(2.5)
        self._spawn(victim)

    async def _kill(self, name: str) -> None:
        pid = self._pids[name]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            log = (self._folder / "logs" / f"{name}.log").read_text()
            raise AssertionError(f"{name} died by itself: {log[-3_000:]}") from None
        await until(lambda: not is_there(pid), what=f"the end of {name}")

    # The end

    async def settle(self, *, within_s: float = 60.0) -> None:
        """Kill every gateway once more; without new sessions all that was used is settled, recorded and delivered."""
        for name in self._names:
            await self._kill(name)
        for name in self._names:
            self._spawn(name, has_sessions=False)
        self.receiver.faults.share = 0.0
        self._testimonies = testimonies(sorted((self._folder / "witness").iterdir()))
        try:
            await until_true(self._is_settled, within_s=within_s, what="the settlement of all that was used")
        except Overdue as overdue:
            raise Overdue(f"{overdue}: {await self._unsettled()}") from None
        await until_true(self._is_delivered, within_s=within_s, what="the delivery of all events")
        await asyncio.sleep(1.5)  # the last answers reach the gateways, and their journals the disk
        for name in (*self._names, "exporter"):
            await self._kill(name)

    async def _is_settled(self) -> bool:
        return not await self._unsettled()

    async def _unsettled(self) -> dict[str, str]:
        """What is amiss, by session."""
        unsettled = {}
        async with self.redis() as client, client.pipeline(transaction=False) as pipe:
            for session_id, testimony in self._testimonies.items():
                pipe.hget(NAMES.tab(testimony.org, session_id), "numbers")
            tabs = await pipe.execute()
        for (session_id, testimony), tab in zip(self._testimonies.items(), tabs, strict=True):
            settled, recorded = _settled_and_recorded(tab)
            if settled < testimony.committed or recorded != settled:
                unsettled[session_id] = f"{testimony.committed} committed, {settled} settled, {recorded} recorded"
        return unsettled

    async def _is_delivered(self) -> bool:
        async with self.redis() as client:
            for org in self.orgs:
                for group in await client.xinfo_groups(NAMES.meter(org)):
                    if group["name"] == SINK.encode() and (group["pending"] or group["lag"] != 0):
                        return False
        return True

    async def books(self) -> Books:
        """After `settle`."""
        async with self.redis() as client:
            books = await books_in_redis(client, self.orgs)
        for name in self._names:
            add_journal(books, self._folder / "journals" / name, window_slices=WINDOW_SLICES)
        add_sent_log(books, self._folder / "exporter")
        add_received(books, self.receiver)
        add_testimonies(books, self._testimonies)
        return books


def _settled_and_recorded(numbers: bytes | None) -> tuple[int, int]:
    """The first slice that is not, of each; `numbers` of a tab, in which they follow one another."""
    if numbers is None:
        return 0, 0
    found = msgspec.msgpack.decode(b"\xdc" + len(TAB_NUMBERS).to_bytes(2, "big") + numbers, type=list[int])
    named = dict(zip(TAB_NUMBERS, found, strict=True))
    return named["settled"], named["recorded"]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
