"""The edge processes of a gateway: one UDP port, a process behind each of its sockets, and they are kept running.

The sockets are bound once and stay the gateway's: a process that is started again gets the socket of the one before it,
and answers for connections that nobody knows any more with stateless resets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from gateway.restart_delay import HEALTHY_AFTER_S, restart_delay_s
from gateway.silence import Silence
from gateway.transports.websocket import PATH
from gateway.webtransport.edge_settings import SECRET_BYTES, EdgeSettings, connection_ids_of, secret_in
from gateway.webtransport.figures import EdgeFigures
from gateway.webtransport.gateway_watch import TICK_S
from gateway.webtransport.quic.reuseport import bind_reuseport

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from gateway.logs import LogLevel
    from gateway.webtransport.quic.reuseport import ReuseportGroup
    from gateway.webtransport.settings import WebTransportSettings

log = structlog.get_logger("gateway.webtransport")

_READY_TIMEOUT_S = 60.0
_STOP_S = 5.0
_EXIT_S = 1.0
_LINE_BYTES = 1_048_576


class EdgeFailed(OSError):
    """An edge process would not start; standard error says why."""


@dataclass(frozen=True, slots=True)
class EdgeGiven:
    """What edge processes are told beside their own settings."""

    hop: Path
    max_message_bytes: int
    log_level: LogLevel
    core_dumps: bool
    silent_s: float = 20.0
    """A process tells its figures every second; one that tells nothing for so long is killed."""


class EdgeProcesses:
    """`start`, `run` in a task, `stop`.

    Raises:
        ValueError: the connection ids or the secret cannot be used; with words for an operator.
    """

    def __init__(self, settings: WebTransportSettings, given: EdgeGiven, registry: CollectorRegistry) -> None:
        self.settings = settings
        self._given = given
        self._layout = connection_ids_of(settings).layout
        self._secret = os.urandom(SECRET_BYTES) if settings.secret_file is None else secret_in(settings.secret_file)
        self._figures = EdgeFigures(registry)
        self._children = [_Child(index) for index in range(settings.processes)]
        self._keeping: list[asyncio.Task[None]] = []
        self._is_stopping = asyncio.Event()
        self._group: ReuseportGroup | None = None
        self._certificate_sha256 = ""
        self._is_self_signed = False

    @property
    def hop(self) -> Path:
        """Where the gateway listens for them."""
        return self._given.hop

    @property
    def port(self) -> int:
        """0 before `start`."""
        return 0 if self._group is None else self._group.address[1]

    @property
    def url(self) -> str:
        """What clients are told."""
        if self.settings.public_url:
            return self.settings.public_url
        host = self.settings.host
        return f"https://{f'[{host}]' if ':' in host else host}:{self.port}{PATH}"

    @property
    def certificate_sha256(self) -> str:
        """In hexadecimal, as a process told it last: certificates are renewed."""
        return self._certificate_sha256

    @property
    def certificate_hashes(self) -> tuple[str, ...]:
        """What browsers must be told to trust it; nothing where an authority vouches for it."""
        return (self._certificate_sha256,) if self._is_self_signed else ()

    @property
    def pids(self) -> list[int]:
        return [child.process.pid for child in self._children if child.process is not None]

    async def start(self) -> None:
        """Returns when every process serves.

        Raises:
            PortRefused: the port cannot be had.
            EdgeFailed: a process ended, or was not ready in time.
        """
        settings = self.settings
        self._group = bind_reuseport(settings.host, settings.port, sockets=settings.processes, layout=self._layout)
        if not self._group.is_steered:
            log.warning("edge.not_steered", processes=settings.processes)
        ready = [asyncio.get_running_loop().create_future() for _ in self._children]
        self._keeping = [
            asyncio.create_task(self._keep(child, first)) for child, first in zip(self._children, ready, strict=True)
        ]
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                faults = await asyncio.gather(*ready)
        except TimeoutError:
            faults = ["it was not ready in time"]
        if any(faults):
            await self.stop()
            raise EdgeFailed(f"an edge process of WebTransport would not start: {next(filter(None, faults))}")

    async def run(self) -> None:
        """While processes are kept running. Raises what went wrong with that; a process that dies is no such thing."""
        done, _ = await asyncio.wait(self._keeping, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """All at once: each tells its clients, within bounds, and then is gone."""
        self._is_stopping.set()
        for child in self._children:
            child.signal(signal.SIGTERM)
        if self._keeping:
            _, late = await asyncio.wait(self._keeping, timeout=_STOP_S)
            if late:
                for child in self._children:
                    child.signal(signal.SIGKILL)
                await asyncio.wait(late)
        if self._group is not None:
            self._group.close()

    async def _keep(self, child: _Child, first: asyncio.Future[str]) -> None:
        """Start it, and again whenever it dies: at once, and ever later while it keeps dying young. The first time it
        must become ready: `first` is then empty, else why it did not.
        """
        quick_deaths = 0
        while not self._is_stopping.is_set():
            began_s = time.monotonic()
            exit_code = await self._life_of(child, first)
            if self._is_stopping.is_set():
                return
            if not first.done():
                first.set_result(child.refused_because or "it ended")
                return
            quick_deaths = quick_deaths + 1 if time.monotonic() - began_s < HEALTHY_AFTER_S else 0
            log.warning("edge.died", process=child.index, exit_code=exit_code, why=child.refused_because)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(restart_delay_s(quick_deaths)):
                    await self._is_stopping.wait()

    async def _life_of(self, child: _Child, first: asyncio.Future[str]) -> int | None:
        """From its start to its end; its exit code, None where it could not be started."""
        try:
            process = child.process = await self._spawn(child.index)
        except OSError as error:  # no memory, no process more: that may pass
            child.refused_because = error.strerror or type(error).__name__
            return None
        child.refused_because = ""
        if self._is_stopping.is_set():  # it was told of nothing yet
            child.signal(signal.SIGTERM)
        speaking = asyncio.create_task(_speak_to(process))
        try:
            await self._listen_to(child.index, process, first)
        except (ValueError, KeyError, TypeError):  # no line of ours: something in it writes where it must not
            process.kill()
        finally:
            speaking.cancel()
            self._figures.forget(child.index)
            exit_code = await _end_of(process)
            child.process = None
        return exit_code

    async def _spawn(self, index: int) -> asyncio.subprocess.Process:
        if self._group is None:
            raise RuntimeError("the port is not bound")
        fd = self._group.sockets[index].fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.webtransport", "--fd", str(fd)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the gateway, which stops its processes in order
            pass_fds=(fd,),
            limit=_LINE_BYTES,
        )
        told = EdgeSettings(
            index=index,
            hop=self._given.hop,
            secret_hex=self._secret.hex(),
            webtransport=self.settings,
            max_message_bytes=self._given.max_message_bytes,
            log_level=self._given.log_level,
            core_dumps=self._given.core_dumps,
        )
        if process.stdin is None:
            raise RuntimeError("the process's standard input is no pipe")
        with contextlib.suppress(ConnectionError):  # it died; whoever listens to it notices
            process.stdin.write(told.model_dump_json().encode() + b"\n")
            await process.stdin.drain()
        return process

    async def _listen_to(self, index: int, process: asyncio.subprocess.Process, first: asyncio.Future[str]) -> None:
        """To its end, or until it has been silent for too long."""
        if process.stdout is None:
            raise RuntimeError("the process's standard output is no pipe")
        patience_s = _READY_TIMEOUT_S
        while True:
            line = await _line_within(process.stdout, patience_s)
            if line is None:
                log.warning("edge.silent", process=index, pid=process.pid)
                process.kill()
                return
            if not line:
                return
            told: dict[str, Any] = json.loads(line)
            self._certificate_sha256 = told["certificate_sha256"]
            self._is_self_signed = told["is_self_signed"]
            if "figures" in told:
                self._figures.note(index, told["figures"])
                continue
            log.info("edge.started", process=index, pid=process.pid)
            patience_s = self._given.silent_s
            if not first.done():
                first.set_result("")


async def _line_within(pipe: asyncio.StreamReader, patience_s: float) -> bytes | None:
    """The next line, empty at the end; None: there is none in so long, as whoever waits has lived through it."""
    silence = Silence(math.ceil(patience_s / TICK_S))
    reading = asyncio.ensure_future(pipe.readline())
    try:
        while not (await asyncio.wait({reading}, timeout=TICK_S))[0]:
            if silence.tick():
                return None
        return reading.result()
    finally:
        reading.cancel()


async def _speak_to(process: asyncio.subprocess.Process) -> None:
    """Say that we live (gateway_watch), while it does."""
    with contextlib.suppress(ConnectionError):
        while process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(b"\n")
            await asyncio.sleep(TICK_S)


async def _end_of(process: asyncio.subprocess.Process) -> int:
    """Its exit code, once it has closed its standard output."""
    try:
        async with asyncio.timeout(_EXIT_S):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


class _Child:
    """One of the processes; another one each time it is started."""

    __slots__ = ("index", "process", "refused_because")

    def __init__(self, index: int) -> None:
        self.index = index
        self.process: asyncio.subprocess.Process | None = None
        self.refused_because = ""
        """Why the operating system would not start it the last time."""

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
