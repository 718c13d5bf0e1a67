"""What the exporter costs: events a second after a receiver was away, CPU, memory meanwhile, bytes that it remembers.

`python -m tests.benchmarks.exporter`: one sink, a receiver that shares the machine, a redis-server of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.harness.exporter import ExporterProcess, record, usage_event
from tests.harness.faults import Status
from tests.harness.receivers import CloudEventsReceiver
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import until

_RECORDED_AT_ONCE = 5_000
_DRAIN_S = 300.0
_IDLE_S = 10.0


async def measure(*, events: int, orgs: int, folder: Path) -> dict[str, Any]:
    server = RedisServer(folder / "redis").start()
    as_in_production = {"poll_ms": 250, "survey_ms": 2_000, "dead_after_ms": 15_000}
    try:
        async with CloudEventsReceiver() as receiver:
            sink = {"kind": "openmeter", "name": "meter", "url": receiver.url, "batch_events": 100}
            with ExporterProcess(folder / "exporter", server.url, sink, **as_in_production) as exporter:
                process = psutil.Process(exporter.pid)
                receiver.faults.always = Status(503)
                record(server, *(usage_event(f"org{number % orgs}", number) for number in range(orgs)))
                await until(lambda: receiver.requests > 0, within_s=_DRAIN_S, what="the first attempt")
                before_bytes = process.memory_info().rss
                for begin in range(orgs, events, _RECORDED_AT_ONCE):
                    numbers = range(begin, min(begin + _RECORDED_AT_ONCE, events))
                    record(server, *(usage_event(f"org{number % orgs}", number) for number in numbers))
                    await asyncio.sleep(0.5)
                after_bytes = process.memory_info().rss
                began_s, cpu_s, redis_s = time.monotonic(), _cpu_s(process), _cpu_s(psutil.Process(server.pid))
                receiver.faults.always = None
                await until(lambda: len(receiver.events) == events, within_s=_DRAIN_S, what="all events")
                drained_s = time.monotonic() - began_s
                cpu_us = (_cpu_s(process) - cpu_s) / events * 1e6
                redis_us = (_cpu_s(psutil.Process(server.pid)) - redis_s) / events * 1e6
                await asyncio.sleep(3.0)
                idle_from_s = _cpu_s(process)
                await asyncio.sleep(_IDLE_S)
                idle = (_cpu_s(process) - idle_from_s) / _IDLE_S
                exporter.stop()
            remembered = sum(path.stat().st_size for path in exporter.state.iterdir())
    finally:
        server.stop()
    return {
        "events": events,
        "orgs": orgs,
        "events_per_s": round(events / drained_s),
        "exporter_cpu_us_per_event": round(cpu_us, 1),
        "redis_cpu_us_per_event": round(redis_us, 1),
        "memory_mb_receiver_away": [round(before_bytes / 1e6, 1), round(after_bytes / 1e6, 1)],
        "idle_cpu_share": round(idle, 3),
        "sent_log_bytes_per_event": round(remembered / events, 1),
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--orgs", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(events=arguments.events, orgs=arguments.orgs, folder=Path(folder)))
    for name, figure in figures.items():
        print(f"{name:28} {figure}")


if __name__ == "__main__":
    main()
