"""A whole region as its user starts it: `patchbay up` with processes, ports and a state folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from gateway.dev_keys import DevClaims, DevKeys, create_or_load
from gateway.running_regions import newest
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Iterator

PATCHBAY = Path(sys.executable).with_name("patchbay")
ROOT = Path(__file__).parents[2]

_READY_S = 120.0
_STOP_S = 15.0


class RegionWouldNotStart(AssertionError):
    """`patchbay up` ended, or said nothing, before its ready line."""


class Region:
    """A running region. `ready` is what `patchbay up --json` printed; the pids in it are those of the start."""

    def __init__(self, process: subprocess.Popen[bytes], ready: dict[str, Any], folder: Path) -> None:
        self.process = process
        self.ready = ready
        self.folder = folder
        self.environment = environment_of(folder)
        self.state = folder / "state" / "patchbay"
        self.log_file = folder / "up.log"

    @property
    def websocket(self) -> str:
        return str(self.ready["websocket"])

    @property
    def grpc(self) -> str:
        return str(self.ready["grpc"])

    @property
    def http(self) -> str:
        return str(self.ready["http"])

    @property
    def http_port(self) -> int:
        return int(self.http.rpartition(":")[2])

    @property
    def metrics(self) -> str:
        return str(self.ready["metrics"])

    @property
    def admin(self) -> str:
        return self.metrics.removesuffix("/metrics")

    def address(self, protocol: str) -> str:
        """`ws`, `grpc` or `webtransport`, which it has only where it was asked for."""
        return str(self.ready[{"ws": "websocket"}.get(protocol, protocol)])

    @property
    def keys(self) -> DevKeys:
        """The development keys that this region trusts."""
        return create_or_load(self.state)

    def token(self, *, tenant: str = "dev", ttl_s: int = 3_600, scopes: tuple[str, ...] = ("speech:stream",)) -> str:
        return self.keys.mint(DevClaims(tenant=tenant, scopes=scopes), ttl_s=ttl_s, now_s=int(time.time()))

    # --- its processes --------------------------------------------------------------------------------

    def running(self) -> dict[str, Any]:
        """The supervisor's note, which it renews when a child was started again."""
        note = newest(self.state)
        if note is None:
            raise AssertionError("the region left no note, or is gone")
        return note

    @property
    def gateway_pid(self) -> int:
        return int(self.running()["gateway_pid"])

    @property
    def engine_pids(self) -> list[int]:
        return [int(engine["pid"]) for engine in self.running()["engines"]]

    def gateway_rss_bytes(self) -> int:
        return int(psutil.Process(self.gateway_pid).memory_info().rss)

    def is_alive(self) -> bool:
        return self.process.poll() is None

    # --- its log ----------------------------------------------------------------------------------------

    def log_text(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def log_rows(self) -> list[dict[str, Any]]:
        """Every line as JSON; fails on a line that is none."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.log_rows() if row.get("event") == name]

    # --- its end ------------------------------------------------------------------------------------------

    def stop(self) -> int:
        """As Ctrl-C does; kills what does not go in time. Gives the exit code of `patchbay up`."""
        children = [] if not self.is_alive() else psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
            _, alive = psutil.wait_procs(children, timeout=_STOP_S)
            for child in alive:
                child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def environment_of(folder: Path) -> dict[str, str]:
    """What every command of a test runs in: nothing of the user's own Patchbay, one thread for each library."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PATCHBAY")}
    return environment | {"XDG_STATE_HOME": str(folder / "state"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def start_region(folder: Path, *arguments: str, **settings: Any) -> Region:
    """Start `patchbay up` and wait for its ready line.

    Args:
        arguments: more options of `patchbay up`; without `--exporter` it has none, without `--webtransport` neither.
        settings: of the gateway, named as its environment names them: `sessions__liveness_ms=500`.
    """
    over = {"drain__finish_ms": 0} | settings
    folder.mkdir(parents=True, exist_ok=True)
    without = ["--no-exporter", "--no-webtransport"]
    command = [str(PATCHBAY), "up", "--json", "--port", "0", "--log-file", str(folder / "up.log"), *without]
    with (folder / "supervisor.log").open("wb") as said:
        process = subprocess.Popen(
            [*command, *arguments],
            env=environment_of(folder) | {f"PATCHBAY__{key.upper()}": json.dumps(value) for key, value in over.items()},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
    line = _first_line(process)
    if not line:
        process.kill()
        process.wait()
        last_words = (folder / "supervisor.log").read_text(errors="replace")
        raise RegionWouldNotStart(last_words or "no ready line came")
    return Region(process, json.loads(line), folder)


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe")
    readable, _, _ = select.select([process.stdout], [], [], _READY_S)
    return process.stdout.readline() if readable else b""


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """SIGSTOP a process; SIGCONT at the end, if it still lives."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def is_gone(pid: int) -> bool:
    """Whether a process ended; one that its parent has not waited for counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pid: int, *, within_s: float = _STOP_S) -> None:
    until_sync(lambda: is_gone(pid), within_s=within_s, what=f"the end of process {pid}")
