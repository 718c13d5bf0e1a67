"""A real redis-server of a test's own: it can be killed, stalled and started again on the same port and data."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import redis

from tests.harness.ports import free_port
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_READY_S = 20.0


class RedisServer:
    """Listens on a free port of 127.0.0.1. With `is_durable` every write is in the append-only file (`everysec`)."""

    def __init__(self, folder: Path, *arguments: str, is_durable: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._arguments = arguments
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError("the server was not started")
        return self._process

    def client(self) -> redis.Redis:
        """A blocking client for looking at what is there; answers are texts."""
        return redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=5)

    def start(self, environment: Mapping[str, str] | None = None) -> RedisServer:
        """Start, with the data that is there, and wait until it answers. `environment` goes over the test's own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "yes" if self._is_durable else "no", "--daemonize", "no"),
            *self._arguments,
        ]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
            )
        until_sync(self._answers, within_s=_READY_S, what="redis-server")
        return self

    def _answers(self) -> bool:
        if self._running.poll() is not None:
            raise AssertionError(f"redis-server ended: {(self.folder / 'redis.log').read_text()[-2_000:]}")
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def kill(self) -> None:
        """SIGKILL."""
        self._running.kill()
        self._running.wait()

    def restart(self) -> None:
        """SIGKILL, then start with whatever data is on the disk."""
        self.kill()
        self.start()

    def restart_empty(self) -> None:
        """SIGKILL, and nothing is left."""
        self.kill()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.name != "redis.log":
                path.rmdir() if path.is_dir() else path.unlink()
        self.start()

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """SIGSTOP for as long as the block runs."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()
