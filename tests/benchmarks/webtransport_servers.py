"""A gateway with one WebTransport edge process, on cores that the benchmark chooses."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.benchmarks.targets import (
    Issuer,
    Target,
    empty_config,
    first_line,
    gateway_environment,
    port_of,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EDGE_COMMAND = "gateway.webtransport"
_EDGE = {"max_sessions_per_process": 2_000}


@dataclass(frozen=True, slots=True)
class EdgeGateway:
    """`websocket` and `webtransport` are the same gateway, by its two ports."""

    websocket: Target
    webtransport: Target
    certificate_sha256: str


@contextlib.contextmanager
def running_edge_gateway(
    issuer: Issuer,
    scratch: Path,
    *,
    slots: int,
    host: str = "127.0.0.1",
    within: Sequence[str] = (),
    webtransport: dict[str, Any] | None = None,
) -> Iterator[EdgeGateway]:
    """`patchbay up` with a scripted engine and one edge process.

    Args:
        within: what its command starts with.
        webtransport: settings of it that differ from the default.
    """
    scratch.mkdir(exist_ok=True)
    command = [
        *within,
        *(sys.executable, "-c", "from gateway.cli.app import main; main()", "up"),
        *("--scripted", "--slots", str(slots), "--port", "0", "--host", host, "--json", "--no-redis", "--no-exporter"),
        *("--webtransport", "--config", str(empty_config(scratch)), "--log-file", str(scratch / "up.log")),
    ]
    over = {f"webtransport__{name}": value for name, value in (_EDGE | (webtransport or {})).items()}
    with running(command, environment=gateway_environment(issuer, scratch, slots=slots, **over)) as process:
        ready = first_line(process)
        pids = {"gateway": ready["gateway_pid"], "engine": ready["engines"][0]["pid"]}
        edge = edge_pids(ready["gateway_pid"])[0]
        yield EdgeGateway(
            Target(port_of(ready["websocket"]), pids),
            Target(port_of(ready["webtransport"]), {"edge": edge, **pids}),
            ready["webtransport_certificate_sha256"],
        )


def edge_pids(gateway_pid: int) -> list[int]:
    """The gateway's WebTransport edge processes, oldest first."""
    children = psutil.Process(gateway_pid).children()
    return sorted(child.pid for child in children if EDGE_COMMAND in child.cmdline())


@contextlib.contextmanager
def running_aioquic_sink() -> Iterator[Target]:
    with running([sys.executable, "-m", "tests.benchmarks.webtransport_sink"]) as process:
        yield Target(first_line(process)["port"], {"sink": process.pid})


def pin(pid: int, cores: set[int]) -> None:
    """All threads that the process has."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(int(task.name), cores)
