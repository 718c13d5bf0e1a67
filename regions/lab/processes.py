"""The lab's own process table: what runs, how it is killed, hung and slowed, and when it is started again.

Every process is a child that the kernel kills with the lab. A stopped process (SIGSTOP) is no exception to that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

# Of util-linux; where it is missing, what a killed lab leaves behind has to be ended by hand.
_DIES_WITH_THE_LAB = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
_READY_S = 90.0
_STOP_S = 3.0
_LAST_WORDS_BYTES = 2_000


class ProcessFailed(Exception):
    """A process of the lab ended, or said nothing, before it was ready."""


@dataclass
class Member:
    """One process. `ready`: its ready line. `becomes_ready`: for those that print none."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    becomes_ready: Callable[[], Awaitable[None]] | None = None
    on_ready: Callable[[Member], Awaitable[None]] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    is_wanted: bool = True
    """False while it is kept down on purpose."""
    is_up: bool = False
    """It became ready, and nobody has ended it since."""

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ProcessFailed(f"{self.name} was never started")
        return self.process.pid


class ProcessTable:
    """Starts and stops members by their names; use as an async context, which ends them all."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self._restarts: set[asyncio.Task[None]] = set()
        self.failures: list[str] = []
        """Of what could not be started again."""

    async def __aenter__(self) -> ProcessTable:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_all()

    async def start(self, member: Member) -> Member:
        """Start it and wait until it is ready. Raises ProcessFailed."""
        self.members[member.name] = member
        member.is_wanted, member.is_up = True, False
        with member.log_file.open("ab") as log:
            member.process = await asyncio.create_subprocess_exec(
                *_DIES_WITH_THE_LAB,
                *member.command,
                env=dict(member.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        member.starts += 1
        try:
            async with asyncio.timeout(_READY_S):
                await self._until_ready(member, member.process)
        except TimeoutError:
            self.signal(member, signal.SIGKILL)
            raise ProcessFailed(f"{member.name} was not ready in time\n{_last_words(member.log_file)}") from None
        if member.on_ready is not None:
            await member.on_ready(member)
        member.is_up = member.is_alive
        return member

    async def _until_ready(self, member: Member, process: asyncio.subprocess.Process) -> None:
        if member.becomes_ready is not None:
            await member.becomes_ready()
            return
        if process.stdout is None:
            raise ProcessFailed(f"{member.name} has no standard output")
        line = await process.stdout.readline()
        if not line:
            code = await process.wait()
            raise ProcessFailed(f"{member.name} ended with {code}\n{_last_words(member.log_file)}")
        member.ready = json.loads(line)

    def signal(self, member: Member, number: signal.Signals) -> None:
        if member.process is not None and member.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                member.process.send_signal(number)

    def kill(self, member: Member, *, down_s: float | None) -> None:
        """SIGKILL; it is started again after `down_s`, or stays away with None."""
        self.signal(member, signal.SIGKILL)
        self._down(member, down_s)

    def terminate(self, member: Member, *, down_s: float | None) -> None:
        """SIGTERM: it may end in order. It is started again `down_s` after its end."""
        self.signal(member, signal.SIGTERM)
        self._down(member, down_s)

    def _down(self, member: Member, down_s: float | None) -> None:
        member.is_wanted = member.is_up = False
        if down_s is not None:
            self.revive(member, down_s)

    def revive(self, member: Member, down_s: float) -> None:
        """Start it again `down_s` after its end."""
        member.is_wanted = True
        self._own(self._restart(member, down_s))

    async def _restart(self, member: Member, down_s: float) -> None:
        if member.process is not None:
            await member.process.wait()
        await asyncio.sleep(down_s)
        if not member.is_wanted or member.is_alive:
            return
        try:
            await self.start(member)
        except (ProcessFailed, OSError) as failed:
            self.failures.append(f"{failed}")

    async def slow(self, member: Member, *, stopped_permille: int, period_ms: int, for_s: float) -> None:
        """Let it run only a part of the time: SIGSTOP for so much of each period."""
        until_s = time.monotonic() + for_s
        stopped_s = period_ms * stopped_permille / 1_000_000
        try:
            while time.monotonic() < until_s:
                self.signal(member, signal.SIGSTOP)
                await asyncio.sleep(stopped_s)
                self.signal(member, signal.SIGCONT)
                await asyncio.sleep(period_ms / 1_000 - stopped_s)
        finally:
            self.signal(member, signal.SIGCONT)

    def _own(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def stop_all(self) -> None:
        """SIGTERM to all, SIGKILL to what does not end."""
        for task in list(self._restarts):
            task.cancel()
        await asyncio.gather(*self._restarts, return_exceptions=True)
        alive = [member for member in self.members.values() if member.is_alive]
        for member in alive:
            self.signal(member, signal.SIGTERM)
            self.signal(member, signal.SIGCONT)
        await asyncio.gather(*(self._end(member) for member in alive))

    async def _end(self, member: Member) -> None:
        if member.process is None:
            return
        try:
            async with asyncio.timeout(_STOP_S):
                await member.process.wait()
        except TimeoutError:
            self.signal(member, signal.SIGKILL)
            await member.process.wait()


def _last_words(log_file: Path) -> str:
    with log_file.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
        return log.read().decode(errors="replace")
