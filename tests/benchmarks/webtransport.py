"""`make bench-webtransport`: WebTransport beside WebSocket at the same gateway, in one run on this machine.

What is measured, and how to read it, stands in docs/benchmarks.md; `--write-docs` puts the tables there.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tests.benchmarks.document import write_section
from tests.benchmarks.lag_client import LagOrder, LagResult
from tests.benchmarks.load_client import LoadOrder, LoadResult
from tests.benchmarks.measures import machine
from tests.benchmarks.setup_client import SetUpOrder, SetUpResult
from tests.benchmarks.targets import Issuer, Target
from tests.benchmarks.webtransport_findings import (
    AIOQUIC,
    DATAGRAMS,
    STREAMS,
    WEBSOCKET,
    Lag,
    WebTransportFindings,
    keeps_up,
    lag_case,
)
from tests.benchmarks.webtransport_report import lag_report, report
from tests.benchmarks.webtransport_servers import pin, running_aioquic_sink, running_edge_gateway
from tests.harness.lossy_link import SERVER_ADDRESS, Condition, LossyLink, NoLossyLink, lossy_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.webtransport_servers import EdgeGateway

Result = TypeVar("Result")

_REPOSITORY = Path(__file__).parents[2]
_TCP_SETTING = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_SLOTS = 4_000
_SLACK_S = 60.0
_HALF_ROUND_TRIP_MS = 20.0
_SET_UPS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. A cycle is 100 ms; losses are shares of the packets of each way."""

    counts: tuple[int, ...]
    """Of sessions, rising; a way is tried until one is too many for it."""
    rounds: int
    warm_up_cycles: int
    cycles: int
    set_ups: int
    has_library: bool
    """Whether a plain aioquic server is measured beside."""
    losses: tuple[float, ...]
    pieces_ms: tuple[int, ...]
    """Of audio that are sent at once, where packets are lost."""
    lag_sessions: int
    lag_messages: int
    lag_rounds: int


SHORT = Plan((8,), 1, 3, 6, 0, False, (0.05,), (20,), 2, 10, 1)
USUAL = Plan((100, 150, 200, 250, 300, 350), 2, 25, 40, 100, True, (0.0, 0.02), (100, 20), 20, 100, 2)


class Cores:
    """Measured processes have one core for themselves, everything else has the others."""

    def __init__(self) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.measured = {cores[0]}
        self.others = set(cores[1:]) or self.measured

    def give(self, target: Target, measured: str) -> None:
        for name, pid in target.pids.items():
            pin(pid, self.measured if name == measured else self.others)


class Bench:
    """Runs a plan, one measurement at a time."""

    def __init__(self, plan: Plan, scratch: Path) -> None:
        self._plan = plan
        self._scratch = scratch
        self._issuer = Issuer()
        self._cores = Cores()
        self._host = "127.0.0.1"
        self._within: tuple[str, ...] = ()
        """What the commands of clients start with."""
        self.findings = WebTransportFindings(machine(), {}, {}, {}, {}, tcp=_TCP_SETTING.read_text().strip())

    def run(self) -> WebTransportFindings:
        for number in range(1, self._plan.rounds + 1):
            with contextlib.ExitStack() as running:
                gateway = running.enter_context(self._gateway(f"round-{number}"))
                library = running.enter_context(running_aioquic_sink()) if self._plan.has_library else None
                if self._plan.set_ups:
                    _say(f"round {number} of {self._plan.rounds}: opening sessions")
                    self._set_ups(gateway)
                self._sweep(number, gateway, library)
        return self.run_lags()

    def run_lags(self) -> WebTransportFindings:
        """Only what is measured over the network that loses packets."""
        try:
            self._lags()
        except NoLossyLink as error:
            self.findings.no_lags = str(error)
        return self.findings

    def run_in_short(self) -> WebTransportFindings:
        """All at one gateway, the one behind the link."""
        try:
            with self._far_gateway() as (link, gateway):
                self._host, self._within = SERVER_ADDRESS, tuple(link.client)
                link.change(Condition(delay_ms=0.0))
                self._sweep(1, gateway, None)
                self._lags_over(link, gateway)
        except NoLossyLink as error:
            self.findings.no_lags = str(error)
            with self._gateway("short") as gateway:
                self._sweep(1, gateway, None)
        return self.findings

    def _gateway(self, name: str) -> contextlib.AbstractContextManager[EdgeGateway]:
        return running_edge_gateway(self._issuer, self._scratch / name, slots=_SLOTS)

    # --- one core ---------------------------------------------------------------------------------------

    def _sweep(self, number: int, gateway: EdgeGateway, library: Target | None) -> None:
        open_ways = {STREAMS: gateway.webtransport, DATAGRAMS: gateway.webtransport}
        if library is not None:
            open_ways[AIOQUIC] = library
        most = dict.fromkeys(open_ways, 0)
        for count in self._plan.counts:
            if not open_ways:
                break
            _say(f"round {number} of {self._plan.rounds}: {count} sessions over websocket, {', '.join(open_ways)}")
            websocket = self._load(WEBSOCKET, count, gateway.websocket, "gateway")
            for way, target in list(open_ways.items()):
                result = self._load(way, count, target, next(iter(target.pids)))
                if keeps_up(result, websocket):
                    most[way] = count
                else:
                    del open_ways[way]
        for way, sessions in most.items():
            self.findings.most.setdefault(way, []).append(sessions)

    def _load(self, way: str, count: int, target: Target, measured: str) -> LoadResult:
        self._cores.give(target, measured)
        order = LoadOrder(
            sessions=count,
            warm_up_cycles=self._plan.warm_up_cycles,
            cycles=self._plan.cycles,
            cpu_of=target.pids,
            host=self._host,
            port=target.port,
            tokens=[] if way == AIOQUIC else [self._issuer.token("ES256")],
            webtransport={WEBSOCKET: "", DATAGRAMS: "datagrams"}.get(way, "streams"),  # type: ignore[arg-type]
        )
        seconds = (order.warm_up_cycles + order.cycles) / 10 + _SLACK_S
        result = self._client("load_client", order, LoadResult, timeout_s=seconds)
        self.findings.loads.setdefault(way, {}).setdefault(count, []).append(result)
        return result

    def _set_ups(self, gateway: EdgeGateway) -> None:
        for way, target, measured in (
            (WEBSOCKET, gateway.websocket, "gateway"),
            (STREAMS, gateway.webtransport, "edge"),
        ):
            self._cores.give(target, measured)
            order = SetUpOrder(
                port=target.port,
                tokens=[self._issuer.token("ES256")] * self._plan.set_ups,
                at_once=_SET_UPS_AT_ONCE,
                cpu_of=target.pids,
                is_webtransport=way == STREAMS,
            )
            result = self._client("setup_client", order, SetUpResult, timeout_s=_SLACK_S)
            self.findings.set_ups.setdefault(way, []).append(result)

    def _client(
        self,
        module: str,
        order: msgspec.Struct,
        answer: type[Result],
        *,
        timeout_s: float,
    ) -> Result:
        """Have a client process carry out an order, on the cores that are not measured."""
        cores = ",".join(map(str, self._cores.others))
        done = subprocess.run(
            [*self._within, "taskset", "--cpu-list", cores, sys.executable, "-m", f"tests.benchmarks.{module}"],
            input=msgspec.json.encode(order),
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
            timeout=timeout_s,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=answer)

    # --- a bad network ----------------------------------------------------------------------------------

    def _lags(self) -> None:
        with self._far_gateway() as (link, gateway):
            self._within = tuple(link.client)
            self._lags_over(link, gateway)

    @contextlib.contextmanager
    def _far_gateway(self) -> Iterator[tuple[LossyLink, EdgeGateway]]:
        """Raises NoLossyLink."""
        with (
            lossy_link(core=max(self._cores.others)) as link,
            running_edge_gateway(
                self._issuer, self._scratch / "far", slots=_SLOTS, host=SERVER_ADDRESS, within=link.server
            ) as gateway,
        ):
            yield link, gateway

    def _lags_over(self, link: LossyLink, gateway: EdgeGateway) -> None:
        rounds = range(1, self._plan.lag_rounds + 1)
        ways = (WEBSOCKET, STREAMS, DATAGRAMS)
        for number, piece_ms, loss, way in itertools.product(rounds, self._plan.pieces_ms, self._plan.losses, ways):
            case = lag_case(piece_ms, loss)
            _say(f"round {number} of {self._plan.lag_rounds}: {way}, {case} of packets lost")
            link.change(Condition(delay_ms=_HALF_ROUND_TRIP_MS, loss=loss, seed=number))
            result = self._lag(way, piece_ms, gateway)
            carried = link.carried()
            lag = Lag(result, carried.passed, carried.lost, carried.late_p99_ms)
            self.findings.lags.setdefault(way, {}).setdefault(case, []).append(lag)

    def _lag(self, way: str, piece_ms: int, gateway: EdgeGateway) -> LagResult:
        target = gateway.websocket if way == WEBSOCKET else gateway.webtransport
        order = LagOrder(
            way=way,  # type: ignore[arg-type]
            host=SERVER_ADDRESS,
            port=target.port,
            certificate_sha256=gateway.certificate_sha256,
            token=self._issuer.token("ES256"),
            sessions=self._plan.lag_sessions,
            messages=self._plan.lag_messages,
            piece_ms=piece_ms,
        )
        seconds = order.messages / 10 + _SLACK_S
        return self._client("lag_client", order, LagResult, timeout_s=seconds)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as scratch:
        yield Path(scratch)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.webtransport", description=__doc__)
    parser.add_argument("--short", action="store_true", help="few sessions, once: that it runs, not how fast")
    parser.add_argument("--lags", action="store_true", help="only over the network that loses packets")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    with _scratch() as scratch:
        findings = _measured(Bench(SHORT if arguments.short else USUAL, scratch), arguments)
    sections = {} if arguments.lags else {"webtransport": report(findings)}
    sections["webtransport-lag"] = lag_report(findings)
    print("\n\n".join(sections.values()))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(msgspec.to_builtins(findings), indent=1) + "\n", encoding="utf-8")
    if arguments.write_docs:
        for name, text in sections.items():
            write_section(name, text)
    return 0


def _measured(bench: Bench, arguments: argparse.Namespace) -> WebTransportFindings:
    if arguments.lags:
        return bench.run_lags()
    return bench.run_in_short() if arguments.short else bench.run()


if __name__ == "__main__":
    sys.exit(main())
