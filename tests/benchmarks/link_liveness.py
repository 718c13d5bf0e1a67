"""How soon a link notices a black hole, and how often a bad line makes it cry out for nothing.

    python tests/benchmarks/link_liveness.py --minutes 5 --links 40

Real links to real engines, through the lab's relay, which makes delay, jitter and loss into what TCP makes of them: a
lost segment is sent again after a time-out, twice that if it is lost again, and nothing overtakes. Links here carry
nothing but heartbeats, the worst case: with more under way, TCP notices a loss sooner. Their liveness never runs out;
silences are counted against every liveness of the table. The same line is then drawn for many hours, without sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import structlog
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from regions.lab.conditions import Conditions, travel_s
from regions.lab.relay import RelayedLink
from regions.links.grpc_link import GrpcLink
from regions.links.settings import LinkSettings
from tests.harness.engine import running_engine
from tests.harness.waiting import until

if TYPE_CHECKING:
    from regions.links.connection import Connection
    from regions.links.heartbeat import RttSample

INTERVALS_MS = (250, 500)
LIVENESS_MS = (1_000, 1_500, 1_750, 2_000, 2_250, 2_500, 3_000)
CHOSEN = {250: 2_500, 500: 2_000}
"""What links between regions, and links inside one, have by default."""
BAD_LINE = Conditions(delay_ms=40, jitter_ms=300, loss_permille=20)
_HEARTBEAT_BYTES = 120
_NEVER_MS = 60_000


class WatchedLink(GrpcLink):
    """Notes how long its engine was silent, and each round trip."""

    def __init__(self, address: str, settings: LinkSettings) -> None:
        super().__init__(address, settings, gateway="bench", on_rtt=self._note)
        self.silences_ms: list[float] = []
        self.rtts_ms: list[float] = []

    def note_load(self, connection: Connection) -> None:
        before_s = self.heard_at_s
        super().note_load(connection)
        if before_s > 0:
            self.silences_ms.append((self.heard_at_s - before_s) * 1_000)

    def _note(self, sample: RttSample) -> None:
        self.rtts_ms.append(sample.rtt_us / 1_000)


def settings_of(interval_ms: int, liveness_ms: int) -> LinkSettings:
    return LinkSettings(
        heartbeat_interval_ms=interval_ms, liveness_ms=liveness_ms, connect_timeout_ms=10_000, reconnect_max_ms=200
    )


async def watch(port: int, interval_ms: int, num_links: int, seconds: float) -> tuple[list[float], list[float]]:
    """(silences, round trips) of all links over a bad line, in milliseconds."""
    relay = RelayedLink("127.0.0.1", BAD_LINE, seed=interval_ms)
    await relay.start()
    relay.aim("127.0.0.1", port)
    links = [WatchedLink(f"127.0.0.1:{relay.port}", settings_of(interval_ms, _NEVER_MS)) for _ in range(num_links)]
    running = [asyncio.create_task(link.run()) for link in links]
    await until(lambda: all(link.is_connected for link in links), within_s=60)
    for link in links:
        link.silences_ms.clear()
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await relay.stop()
    return [ms for link in links for ms in link.silences_ms], [ms for link in links for ms in link.rtts_ms]


def imagined_silences(interval_ms: int, hours: int, seed: int) -> list[float]:
    """Longer than the shortest liveness, of one link in so many hours of heartbeats over the same line."""
    dice = random.Random(seed)
    arrived_ms = 0.0
    silences = []
    for number in range(hours * 3_600_000 // interval_ms):
        due_ms = number * interval_ms + travel_s(_HEARTBEAT_BYTES, BAD_LINE, dice) * 1_000
        if due_ms > arrived_ms:
            if due_ms - arrived_ms > LIVENESS_MS[0]:
                silences.append(due_ms - arrived_ms)
            arrived_ms = due_ms
    return silences


async def notice_black_holes(port: int, interval_ms: int, num_links: int, rounds: int) -> list[float]:
    """How long each link took to notice, in milliseconds."""
    dice = random.Random(7)
    relays, links = [], []
    for number in range(num_links):
        relay = RelayedLink("127.0.0.1", BAD_LINE, seed=number)
        await relay.start()
        relay.aim("127.0.0.1", port)
        relays.append(relay)
        links.append(GrpcLink(f"127.0.0.1:{relay.port}", settings_of(interval_ms, CHOSEN[interval_ms]), gateway="b"))
    running = [asyncio.create_task(link.run()) for link in links]
    found = []

    async def one(relay: RelayedLink, link: GrpcLink, waits_s: float) -> float | None:
        await until(lambda: link.is_connected and link.rtt is not None, within_s=60)
        await asyncio.sleep(waits_s)
        if not link.is_connected:
            return None
        loop = asyncio.get_running_loop()
        dark_at_s = loop.time()
        relay.darken()
        while link.is_connected:
            await asyncio.sleep(0.005)
        noticed_ms = (loop.time() - dark_at_s) * 1_000
        relay.light()
        return noticed_ms

    for _ in range(rounds):
        noticed = await asyncio.gather(
            *(one(relay, link, dice.uniform(1, 3)) for relay, link in zip(relays, links, strict=True))
        )
        found += [ms for ms in noticed if ms is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for relay in relays:
        await relay.stop()
    return found


async def stall_floor(lateness_ms: list[float]) -> None:
    """How late an idle timer of this process is: nothing can be noticed sooner."""
    loop = asyncio.get_running_loop()
    while True:
        due_at_s = loop.time() + 0.02
        await asyncio.sleep(0.02)
        lateness_ms.append((loop.time() - due_at_s) * 1_000)


async def measure(arguments: argparse.Namespace) -> None:
    lateness_ms: list[float] = []
    floor = asyncio.create_task(stall_floor(lateness_ms))
    print(
        f"line: {BAD_LINE.delay_ms} ms each way, {BAD_LINE.jitter_ms} ms jitter, {BAD_LINE.loss_permille / 10} % loss\n"
    )
    silences: dict[int, list[float]] = {}
    rtts: dict[int, list[float]] = {}
    holes: dict[int, list[float]] = {}
    async with contextlib.AsyncExitStack() as stack:
        ports = {}
        for interval_ms in INTERVALS_MS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            engine = await stack.enter_async_context(
                running_engine(
                    folder,
                    *("--recogniser", "scripted", "--listen", "127.0.0.1:0"),
                    *("--heartbeat-interval-ms", str(interval_ms)),
                )
            )
            ports[interval_ms] = int(engine.address.rpartition(":")[2])
        watched = await asyncio.gather(
            *(watch(ports[ms], ms, arguments.links // len(INTERVALS_MS), arguments.minutes * 60) for ms in INTERVALS_MS)
        )
        for interval_ms, (silent, trips) in zip(INTERVALS_MS, watched, strict=True):
            silences[interval_ms], rtts[interval_ms] = silent, trips
        for interval_ms in INTERVALS_MS:
            holes[interval_ms] = await notice_black_holes(
                ports[interval_ms], interval_ms, arguments.holes, arguments.rounds
            )
    floor.cancel()
    report(arguments, silences, rtts)
    report_holes(holes)
    cut = statistics.quantiles(lateness_ms, n=100)
    print(f"\nidle stall floor: p50 {cut[49]:.1f} ms, p99 {cut[98]:.1f} ms, longest {max(lateness_ms):.0f} ms")


def report(arguments: argparse.Namespace, silences: dict[int, list[float]], rtts: dict[int, list[float]]) -> None:
    print("| heartbeat | link-hours | " + " | ".join(f"{ms} ms" for ms in LIVENESS_MS) + " |")
    print("|---" * (2 + len(LIVENESS_MS)) + "|")
    for interval_ms in INTERVALS_MS:
        hours = arguments.links / len(INTERVALS_MS) * arguments.minutes / 60
        counts = [
            sum(ms > limit for ms in silences[interval_ms]) + sum(ms > limit for ms in rtts[interval_ms])
            for limit in LIVENESS_MS
        ]
        print(f"| {interval_ms} ms, links | {hours:.1f} | " + " | ".join(map(str, counts)) + " |")
        drawn = imagined_silences(interval_ms, arguments.hours, seed=interval_ms)
        counts = [sum(ms > limit for ms in drawn) for limit in LIVENESS_MS]
        print(f"| {interval_ms} ms, drawn | {arguments.hours} | " + " | ".join(map(str, counts)) + " |")


def report_holes(holes: dict[int, list[float]]) -> None:
    print("\n| heartbeat | liveness | black holes | noticed p50 | p99 | longest |\n|---|---|---|---|---|---|")
    for interval_ms, noticed in holes.items():
        cut = statistics.quantiles(noticed, n=100)
        print(
            f"| {interval_ms} ms | {CHOSEN[interval_ms]} ms | {len(noticed)} | {cut[49]:.0f} ms | {cut[98]:.0f} ms "
            f"| {max(noticed):.0f} ms |"
        )


def _drop(_logger: object, _method: str, _event: object) -> NoReturn:
    """The table is all that is printed."""
    raise structlog.DropEvent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--links", type=int, default=40, help="half of them for each heartbeat interval")
    parser.add_argument("--hours", type=int, default=500, help="of one link, drawn")
    parser.add_argument("--holes", type=int, default=20, help="links that fall into a black hole at once")
    parser.add_argument("--rounds", type=int, default=5)
    structlog.configure(processors=[_drop])
    uvloop.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
