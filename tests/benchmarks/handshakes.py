"""What a handshake costs a gateway process: one that is let in, one with a wrong token, one whose address is limited.

CPU time of the gateway's process, over loopback, each handshake on a TCP connection of its own. The three kinds take
turns, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.benchmarks.document import machine_line, markdown_table, write_section
from tests.benchmarks.measures import Spread, machine
from tests.harness.raw_websocket import upgrade_request
from tests.harness.region import start_region

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.region import Region

_ROUNDS = 5
_EXEMPT, _LIMITED = "127.0.0.1", "127.0.0.2"
_SETTLED_S = 0.2


def _handshake(region: Region, token: str, source: str) -> bytes:
    """The status line of one handshake from this address."""
    with socket.create_connection(("127.0.0.1", region.http_port), source_address=(source, 0), timeout=10) as plain:
        plain.sendall(upgrade_request(region, token))
        return plain.recv(4_096).split(b"\r\n", 1)[0]


def _cpu_us(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system) * 1e6


def _cost_us(process: psutil.Process, handshake: Callable[[], bytes], status: bytes, count: int) -> float:
    """CPU time of the gateway for each, what runs in it anyway taken off."""
    idle_since_us, began_at_s = _cpu_us(process), time.monotonic()
    time.sleep(_SETTLED_S)
    idle_us_per_s = (_cpu_us(process) - idle_since_us) / (time.monotonic() - began_at_s)
    began_at_us, began_at_s = _cpu_us(process), time.monotonic()
    for _ in range(count):
        line = handshake()
        if status not in line:
            raise RuntimeError(f"expected {status!r}, got {line!r}")
    time.sleep(_SETTLED_S)
    return (_cpu_us(process) - began_at_us - idle_us_per_s * (time.monotonic() - began_at_s)) / count


def measure(count: int) -> str:
    with (
        tempfile.TemporaryDirectory() as folder,
        start_region(
            Path(folder),
            "--scripted",
            admission__addresses={
                "exempt_networks": [f"{_EXEMPT}/32"],
                "handshakes_per_minute": 1,
                "handshake_burst": 1,
            },
        ) as region,
    ):
        process = psutil.Process(region.gateway_pid)
        good, wrong = region.token(), region.token()[:-8] + "AAAAAAAA"
        _handshake(region, good, _LIMITED)
        kinds: dict[str, tuple[Callable[[], bytes], bytes]] = {
            "let in": (lambda: _handshake(region, good, _EXEMPT), b" 101 "),
            "wrong token": (lambda: _handshake(region, wrong, _EXEMPT), b" 401 "),
            "address limited": (lambda: _handshake(region, good, _LIMITED), b" 429 "),
        }
        costs: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(_ROUNDS):
            for name, (handshake, status) in kinds.items():
                costs[name].append(_cost_us(process, handshake, status, count))
    rows = [[name, Spread.of(found).shown()] for name, found in costs.items()]
    return f"{machine_line(machine())}\n\n{markdown_table(['a handshake that is', 'µs of the gateway’s CPU'], rows)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.handshakes", description=__doc__)
    parser.add_argument("--short", action="store_true", help="that it runs, not how fast")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    text = measure(5 if arguments.short else 300)
    print(text)
    if arguments.write_docs:
        write_section("handshakes", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
