"""`make bench`: the gateway under load beside an aiohttp server and HAProxy, in one run on this machine.

What is measured, and how to read it, stands in docs/benchmarks.md; `--write-docs` puts the tables there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tests.benchmarks.document import write_section
from tests.benchmarks.findings import Findings, Memory
from tests.benchmarks.limited_target import REDIS, running_limited_gateway
from tests.benchmarks.load_client import LoadOrder, LoadResult
from tests.benchmarks.load_report import report
from tests.benchmarks.measures import machine, rss_kib
from tests.benchmarks.setup_client import SetUpOrder, SetUpResult
from tests.benchmarks.targets import HAPROXY, Issuer, Target, running_gateway, running_haproxy, running_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

Result = TypeVar("Result")

_REPOSITORY = Path(__file__).parents[2]
_SLOTS = 4_000
_ALGORITHMS = ("ES256", "EdDSA")
_GATEWAYS = {"gateway": "gateway", "limited": "gateway with limits"}
_ORGS = [f"org-{number}" for number in range(10)]
"""Sessions are shared out among them, each with one key and one project."""
_SETTLED_SESSIONS = 100
"""Opened before memory is counted: what a first session makes for all stays out of the figure per session."""
_SLACK_S = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. A cycle is 100 ms."""

    session_counts: tuple[int, ...]
    rounds: int
    warm_up_cycles: int
    cycles: int
    idle_sessions: int
    set_ups: int


SHORT = Plan(session_counts=(50,), rounds=1, warm_up_cycles=5, cycles=10, idle_sessions=50, set_ups=20)
USUAL = Plan(session_counts=(200, 1_000), rounds=3, warm_up_cycles=25, cycles=60, idle_sessions=1_000, set_ups=600)
FULL = Plan(
    session_counts=(200, 1_000, 3_000), rounds=3, warm_up_cycles=25, cycles=60, idle_sessions=1_000, set_ups=600
)


class Bench:
    """Runs a plan, one measurement at a time."""

    def __init__(self, plan: Plan, scratch: Path) -> None:
        self._plan = plan
        self._scratch = scratch
        self._issuer = Issuer()
        self.findings = Findings(machine(), {count: {} for count in plan.session_counts}, {}, {})

    def run(self) -> Findings:
        for number in range(1, self._plan.rounds + 1):
            with self._servers() as servers:
                self._memory(servers)
                self._set_ups(servers)
                for count in self._plan.session_counts:
                    _say(f"round {number} of {self._plan.rounds}: {count} sessions")
                    self._loads(count, servers)
        return self.findings

    @contextlib.contextmanager
    def _servers(self) -> Iterator[dict[str, Target]]:
        with contextlib.ExitStack() as running:
            scratch = Path(running.enter_context(tempfile.TemporaryDirectory(dir=self._scratch)))
            servers = {"gateway": running.enter_context(running_gateway(self._issuer, scratch / "plain", slots=_SLOTS))}
            if REDIS is not None:
                limited = running_limited_gateway(self._issuer, scratch / "limited", slots=_SLOTS)
                servers["limited"] = running.enter_context(limited)
            servers["aiohttp"] = sink = running.enter_context(running_sink())
            if HAPROXY is not None:
                servers["haproxy"] = running.enter_context(running_haproxy(sink, scratch))
            yield servers

    def _memory(self, servers: dict[str, Target]) -> None:
        """Of processes that have had no session yet."""
        few, many = _SETTLED_SESSIONS, _SETTLED_SESSIONS + self._plan.idle_sessions
        for name in [name for name in servers if name != "haproxy"]:
            pid = next(iter(servers[name].pids.values()))
            base_kib = rss_kib(pid)
            few_kib, many_kib = (self._idle(name, servers[name], count) for count in (few, many))
            memory = Memory(base_kib, (many_kib - few_kib) / (many - few))
            self.findings.memory.setdefault(name, []).append(memory)

    def _idle(self, name: str, server: Target, sessions: int) -> int:
        result = self._load(name, server, LoadOrder(sessions=sessions, warm_up_cycles=0, cycles=0, cpu_of={}))
        return next(iter(result.rss_kib.values()))

    def _set_ups(self, servers: dict[str, Target]) -> None:
        count = self._plan.set_ups
        for algorithm in _ALGORITHMS:
            fresh = [self._issuer.token(algorithm) for _ in range(count)]
            self._set_up(f"gateway, new {algorithm} tokens", servers["gateway"], list(fresh))
        one = self._issuer.token(_ALGORITHMS[0])
        for name, gateway in _GATEWAYS.items():
            if name in servers:
                self._set_up(f"{gateway}, one token", servers[name], [one] * count)
        for name in ("aiohttp", "haproxy"):
            if name in servers:
                self._set_up(name, servers[name], [None] * count)

    def _set_up(self, name: str, server: Target, tokens: list[str | None]) -> None:
        order = SetUpOrder(port=server.port, tokens=tokens, at_once=16, cpu_of=server.pids)
        result = _client("setup_client", order, SetUpResult, timeout_s=_SLACK_S)
        self.findings.set_ups.setdefault(name, []).append(result)

    def _loads(self, count: int, servers: dict[str, Target]) -> None:
        plan = self._plan
        order = LoadOrder(sessions=count, warm_up_cycles=plan.warm_up_cycles, cycles=plan.cycles, cpu_of={})
        results = self.findings.loads[count]
        for name, server in servers.items():
            results.setdefault(name, []).append(self._load(name, server, order))
        gateway = servers["gateway"]
        engine = {"engine": gateway.pids["engine"]}
        direct = msgspec.structs.replace(order, engine=gateway.engine, cpu_of=engine)
        results.setdefault("engine", []).append(_client("load_client", direct, LoadResult, timeout_s=_timeout_s(order)))

    def _load(self, name: str, server: Target, order: LoadOrder) -> LoadResult:
        is_gateway = name in _GATEWAYS
        tokens = [self._issuer.token(_ALGORITHMS[0], tenant=org) for org in _ORGS] if is_gateway else []
        complete = msgspec.structs.replace(
            order,
            port=server.port,
            cpu_of=server.pids,
            tokens=tokens,
            redis_port=server.redis_port,
            metrics_url=server.metrics_url,
        )
        return _client("load_client", complete, LoadResult, timeout_s=_timeout_s(order))


def _timeout_s(order: LoadOrder) -> float:
    return (order.warm_up_cycles + order.cycles) / 10 + _SLACK_S


def _client(module: str, order: msgspec.Struct, answer: type[Result], *, timeout_s: float) -> Result:
    """Have a client process of its own carry out an order."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}"],
        input=msgspec.json.encode(order),
        stdout=subprocess.PIPE,
        cwd=_REPOSITORY,
        timeout=timeout_s,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=answer)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gateway_load", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--short", action="store_true", help="50 sessions, once: that it runs, not how fast")
    length.add_argument("--full", action="store_true", help="also 3,000 sessions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    plan = SHORT if arguments.short else FULL if arguments.full else USUAL
    if HAPROXY is None:
        _say("HAProxy is not installed (Debian: apt-get install haproxy): its rows and the ratio to it are left out")
    if REDIS is None:
        _say("redis-server is not installed: the gateway with limits is left out")
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as scratch:
        findings = Bench(plan, Path(scratch)).run()
    text = report(findings)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(msgspec.to_builtins(findings), indent=1) + "\n", encoding="utf-8")
    if arguments.write_docs:
        write_section("gateway_load", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
