"""A whole region on one machine: starts engines and a gateway as processes of their own and keeps them running.

A child that dies is started again on the same address, so that links and clients find it where it was. Children end
with the supervisor, also when it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from gateway.data_directory import claim
from gateway.decision_log.signing import create_signing_key
from gateway.dev_certificates import DevCertificateRefused
from gateway.region_plan import children_of, decision_key_file, resume_key_file, webtransport_secret_file
from gateway.residency.grant_keys import create_grant_keys
from gateway.restart_delay import HEALTHY_AFTER_S, restart_delay_s
from gateway.resumption.token_keys import create_key_file
from gateway.running_regions import announce, withdraw

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from gateway.region_plan import Child, RegionPlan

_READY_TIMEOUT_S = 60.0
_READY_POLL_S = 0.05
_MAY_BE_OFF = ("console", "webtransport", "webtransport_certificate_sha256")
"""What a gateway's ready line tells only where it is."""
_STOP_OTHERS_S = 5.0
_LAST_WORDS_BYTES = 16_384
_LAST_WORDS_LINES = 8
_EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h
_EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE


class RegionFailed(Exception):
    """The region would not start; `exit_code` is one of sysexits.h."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class ChildFailed(RegionFailed):
    """A process would not start; `exit_code` is its own where it ended by itself, else 70."""

    def __init__(self, name: str, exit_code: int, last_words: str) -> None:
        text = f"{name} ended with exit code {exit_code} before it was ready\n{last_words}"
        super().__init__(text.rstrip(), exit_code if exit_code > 0 else _EXIT_INTERNAL)


class Supervisor:
    """Runs one plan until it is told to stop."""

    def __init__(self, plan: RegionPlan) -> None:
        self._plan = plan
        self._stopping = asyncio.Event()
        self._logs: IO[bytes] | None = None
        self._children: list[Child] = []
        self._ports: dict[str, int] = {}
        self._on_change: Callable[[dict[str, Any]], None] = lambda _ready: None

    def stop(self) -> None:
        """End in order; a second call ends at once."""
        if self._stopping.is_set():
            for child in self._children:
                if child.process is not None and child.process.returncode is None:
                    child.process.kill()
        self._stopping.set()

    async def run(self, on_ready: Callable[[dict[str, Any]], None]) -> None:
        """Start everything, call `on_ready` with the addresses, supervise until `stop`.

        Raises:
            RegionFailed: something would not start; all else is stopped by then.
            OSError: the log or the note of the region cannot be written.
        """
        with (
            tempfile.TemporaryDirectory(prefix="patchbay-") as scratch,
            claim(self._plan.state_directory) as data,
            self._open_logs(),
        ):
            self._data = data
            create_key_file(resume_key_file(data.path))
            if self._plan.makes_webtransport_secret:
                create_key_file(webtransport_secret_file(data.path))
            if not self._plan.has_decision_log and not decision_key_file(data.path).exists():
                create_signing_key(decision_key_file(data.path))
            if self._plan.makes_grant_keys:
                create_grant_keys(data.path, self._plan.region)
            self._region = children_of(self._plan, Path(scratch), data.path, self._ports)
            self._children = self._region.all
            try:
                if not await self._unless_stopping(self._start_all()):
                    return
                ready = self._describe()
                announce(self._plan.state_directory, ready)
                on_ready(ready)
                async with asyncio.TaskGroup() as tasks:
                    for child in self._children:
                        tasks.create_task(self._keep_running(child))
                    if self._plan.renew_certificate is not None:
                        tasks.create_task(self._keep_renewed(self._plan.renew_certificate))
            finally:
                withdraw(self._plan.state_directory, os.getpid())
                await self._stop_all()

    async def _start_all(self) -> None:
        try:
            for stage in self._region.stages:
                async with asyncio.TaskGroup() as tasks:
                    for child in stage:
                        tasks.create_task(self._start(child))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # the first that failed; the others were cancelled for it
        self._pin_ports(self._region.gateway)
        await self._until_ready(self._region.gateway)

    async def _unless_stopping(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do it, or drop it when `stop` is called meanwhile. Whether it was done; raises what it raises."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            return working.done()
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    @contextlib.contextmanager
    def _open_logs(self) -> Iterator[None]:
        if self._plan.log_file is None:
            yield
            return
        self._plan.log_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._plan.log_file.open("ab") as logs:
            self._logs = logs
            yield

    async def _start(self, child: Child) -> None:
        """Start a process and wait for its ready line."""
        child.started_at_s = time.monotonic()
        child.log_offset_bytes = 0 if self._logs is None else os.fstat(self._logs.fileno()).st_size
        child.process = await asyncio.create_subprocess_exec(
            *child.command(),
            env=child.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._logs,
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops its children in order
            pass_fds=(self._data.lock_fd,),  # the folder is free again when the last of them is gone
        )
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                is_ready = await self._becomes_ready(child, child.process)
        except TimeoutError:
            child.process.kill()
            is_ready = False
        if not is_ready:
            exit_code = await child.process.wait()
            raise ChildFailed(child.name, exit_code, self._last_words(child))

    async def _becomes_ready(self, child: Child, process: asyncio.subprocess.Process) -> bool:
        """False: it ended before."""
        if process.stdout is None:
            raise RuntimeError("the child's standard output is no pipe")
        if child.becomes_ready is None:
            line = await process.stdout.readline()
            if line:  # or what it said the last time still describes it
                child.ready = json.loads(line)
            return bool(line)
        waiting = asyncio.create_task(child.becomes_ready())
        ending = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.done() and waiting.exception() is None
        finally:
            for task in (waiting, ending):
                task.cancel()
            await asyncio.gather(waiting, ending, return_exceptions=True)

    def _last_words(self, child: Child) -> str:
        """What stands in the log since the process started: the lines for people, or else the last of all."""
        if self._plan.log_file is None:
            return ""
        with self._plan.log_file.open("rb") as logs:
            end = logs.seek(0, os.SEEK_END)
            logs.seek(max(child.log_offset_bytes, end - _LAST_WORDS_BYTES))
            lines = logs.read(_LAST_WORDS_BYTES).decode(errors="replace").splitlines()
        for_people = [line for line in lines if not line.startswith("{")]
        return "\n".join((for_people or lines)[-_LAST_WORDS_LINES:])

    def _pin_ports(self, gateway: Child) -> None:
        """A gateway that is started again must be where clients know it."""
        for name, key in (("http", "http"), ("grpc", "grpc"), ("admin", "metrics")):
            self._ports[name] = int(gateway.ready[key].removesuffix("/metrics").rpartition(":")[2])
        if self._plan.has_any_webtransport_port:
            self._ports["webtransport"] = urlsplit(gateway.ready["webtransport"]).port or 0

    async def _until_ready(self, gateway: Child) -> None:
        """Until the gateway is linked to an engine."""
        url = gateway.ready["metrics"].replace("/metrics", "/readyz")
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S), aiohttp.ClientSession() as http:
                while True:
                    self._check_that_all_live()
                    with contextlib.suppress(aiohttp.ClientError):
                        async with http.get(url, ssl=False) as response:
                            if response.ok:
                                return
                    await asyncio.sleep(_READY_POLL_S)
        except TimeoutError:
            raise RegionFailed("the gateway found no engine that answers", _EXIT_UNAVAILABLE) from None

    def _check_that_all_live(self) -> None:
        for child in self._children:
            if child.process is not None and child.process.returncode is not None:
                raise ChildFailed(child.name, child.process.returncode, self._last_words(child))

    def _describe(self) -> dict[str, Any]:
        gateway = self._region.gateway
        return {
            **{key: gateway.ready[key] for key in ("http", "websocket", "grpc", "metrics")},
            **{key: gateway.ready[key] for key in _MAY_BE_OFF if key in gateway.ready},
            "pid": os.getpid(),
            "gateway_pid": _pid_of(gateway),
            "engines": [
                {"pid": _pid_of(child), "pool": self._plan.engines.pool, "address": child.ready["address"]}
                for child in self._region.engines
            ],
            **{f"{child.name}_pid": _pid_of(child) for child in self._region.helpers},
            **{child.name: child.ready["http"] for child in self._region.helpers if "http" in child.ready},
            **self._region.places,
        }

    async def _keep_running(self, child: Child) -> None:
        """Start it again whenever it dies: at once, and ever later while it keeps dying young."""
        while True:
            if child.process is None or not await self._unless_stopping(_end_of(child.process)):
                return
            lived_s = time.monotonic() - child.started_at_s
            child.quick_deaths = child.quick_deaths + 1 if lived_s < HEALTHY_AFTER_S else 0
            sys.stderr.write(f"{child.name} died; starting it again\n")
            if not await self._unless_stopping(asyncio.sleep(restart_delay_s(child.quick_deaths))):
                return
            try:
                if not await self._unless_stopping(self._start(child)):
                    return
            except ChildFailed as failed:
                sys.stderr.write(f"{failed}\n")
            else:
                announce(self._plan.state_directory, self._describe())

    async def _keep_renewed(self, renew: Callable[[], str]) -> None:
        """The gateway notices by itself that its certificate was changed; whoever reads the note does not."""
        while await self._unless_stopping(asyncio.sleep(self._plan.renew_every_s)):
            try:
                sha256 = await asyncio.to_thread(renew)
            except DevCertificateRefused as refused:
                sys.stderr.write(f"{refused}\n")
                continue
            told = self._region.gateway.ready
            if told.get("webtransport_certificate_sha256", sha256) != sha256:
                told["webtransport_certificate_sha256"] = sha256
                announce(self._plan.state_directory, self._describe())

    async def _stop_all(self) -> None:
        """The gateway first: it drains its sessions with the engines' help, and settles them in Redis: that is last."""
        self._stopping.set()
        if not self._children:
            return
        await _terminate(self._region.gateway, timeout_s=None)
        for stage in reversed(self._region.stages):
            rest = [child for child in stage if child is not self._region.gateway]
            await asyncio.gather(*(_terminate(child, timeout_s=_STOP_OTHERS_S) for child in rest))


async def _end_of(process: asyncio.subprocess.Process) -> None:
    await process.wait()


def _pid_of(child: Child) -> int | None:
    return None if child.process is None else child.process.pid


async def _terminate(child: Child, *, timeout_s: float | None) -> None:
    """SIGTERM, then SIGKILL after the time-out; None waits for the child's own deadline."""
    process = child.process
    if process is None or process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
