"""The tables of the gateway's benchmark: medians of the rounds, with the least and the most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.document import machine_line, markdown_table
from tests.benchmarks.measures import Spread

if TYPE_CHECKING:
    from tests.benchmarks.findings import Findings
    from tests.benchmarks.load_client import LoadResult

_MEASURED_PROCESS = {
    "gateway": "gateway",
    "limited": "gateway",
    "aiohttp": "sink",
    "haproxy": "haproxy",
    "engine": "engine",
}
_SERVERS = {
    "gateway": "**gateway** (and its engine)",
    "limited": "**gateway with limits** (and its engine)",
    "aiohttp": "aiohttp WebSocket server",
    "haproxy": "HAProxy (and that server behind it)",
    "engine": "engine alone, no gateway",
}
_GOAL_SESSIONS = 1_000
_MOST_ENGINE_P50_MS = 5.0
"""An engine alone that takes longer waits for a processor; what a gateway adds cannot be seen then."""
_GOALS = {
    "ratio": 1.5,
    "limits_percent": 15.0,
    "redis_us": 25.0,
    "added_p50_ms": 0.3,
    "added_p99_ms": 5.0,
    "session_kib": 40.0,
    "base_mib": 90.0,
}


def report(findings: Findings) -> str:
    """Markdown."""
    parts = [machine_line(findings.machine)]
    for sessions, by_server in findings.loads.items():
        parts += [f"### {sessions:,} sessions, {sessions * 10:,} audio messages a second", _load_table(by_server)]
        parts += _warnings(by_server)
    if any("limited" in by_server for by_server in findings.loads.values()):
        parts += ["### What limits add", _limits_table(findings)]
    parts += ["### Opening and closing sessions", _set_up_table(findings)]
    parts += ["### Memory", _memory_table(findings)]
    if _GOAL_SESSIONS in findings.loads:
        parts += ["### Goals", _goal_table(findings)]
    return "\n\n".join(parts)


def _load_table(by_server: dict[str, list[LoadResult]]) -> str:
    haproxy = by_server.get("haproxy")
    header = ["", "CPU µs a message", "the process behind", "x HAProxy", "p50 ms", "p99 ms", "most ms"]
    rows = []
    for name, results in by_server.items():
        own = _MEASURED_PROCESS[name]
        behind = [process for process in results[0].cpu_us_per_message if process != own]
        rows.append(
            [
                _SERVERS[name],
                _cpu_us(results, own).shown(),
                _cpu_us(results, behind[0]).shown() if behind else "",
                _ratio(results, haproxy, own).shown(2) if haproxy and own in ("gateway", "sink") else "",
                Spread.of([result.latency_p50_ms for result in results]).shown(2),
                Spread.of([result.latency_p99_ms for result in results]).shown(2),
                Spread.of([result.latency_most_ms for result in results]).shown(),
            ]
        )
    return markdown_table(header, rows)


def _limits_table(findings: Findings) -> str:
    header = [
        "sessions",
        "CPU µs a message, without limits",
        "with limits",
        "more, %",
        "Redis CPU µs a session-second",
        "calls of the script a second",
    ]
    rows = []
    for sessions, by_server in findings.loads.items():
        plain, limited = by_server["gateway"], by_server["limited"]
        redis = [result.redis for result in limited if result.redis is not None]
        rows.append(
            [
                f"{sessions:,}",
                _cpu_us(plain, "gateway").shown(),
                _cpu_us(limited, "gateway").shown(),
                _more_percent(by_server).shown(),
                Spread.of([each.cpu_us_per_session_s for each in redis]).shown(),
                Spread.of([each.scripts_per_s for each in redis]).shown(0),
            ]
        )
    return markdown_table(header, rows)


def _more_percent(by_server: dict[str, list[LoadResult]]) -> Spread:
    """How much more CPU a message costs with limits, in the same round."""
    pairs = zip(by_server["limited"], by_server["gateway"], strict=True)
    return Spread.of([100 * (a.cpu_us_per_message["gateway"] / b.cpu_us_per_message["gateway"] - 1) for a, b in pairs])


def _warnings(by_server: dict[str, list[LoadResult]]) -> list[str]:
    """What makes a table worthless is said under it."""
    said = []
    for name, results in by_server.items():
        missing = max(result.expected_results - result.results for result in results)
        if missing > results[0].expected_results // 100:
            said.append(f"**{name}: up to {missing} of {results[0].expected_results} results did not come in time.**")
        late_ms = max(result.pace_p99_ms for result in results)
        if late_ms > 5:
            said.append(f"**{name}: the load fell behind its pace (p99 {late_ms:.1f} ms): the machine was too busy.**")
        failed = sum(result.redis.failed_calls for result in results if result.redis is not None)
        if failed:
            said.append(f"**{name}: {failed} calls to Redis failed: for a while no limit held.**")
    return said


def _set_up_table(findings: Findings) -> str:
    header = ["", "sessions a second", "CPU µs a session"]
    rows = [
        [
            name,
            Spread.of([result.sessions_per_s for result in results]).shown(0),
            Spread.of([next(iter(result.cpu_us_per_session.values())) for result in results]).shown(0),
        ]
        for name, results in findings.set_ups.items()
    ]
    return markdown_table(header, rows)


def _memory_table(findings: Findings) -> str:
    header = ["", "just started, MiB", "each idle session, KiB"]
    rows = [
        [
            _SERVERS[name].partition(" (")[0],
            Spread.of([memory.base_kib / 1_024 for memory in memories]).shown(),
            Spread.of([memory.per_session_kib for memory in memories]).shown(),
        ]
        for name, memories in findings.memory.items()
    ]
    return markdown_table(header, rows)


def _goal_table(findings: Findings) -> str:
    loads = findings.loads[_GOAL_SESSIONS]
    rows = []
    for name, shown in (("gateway", ""), ("limited", "with limits: ")):
        if name in loads:
            rows += _goals_of(findings, name, shown)
    if "limited" in loads:
        redis = [result.redis.cpu_us_per_session_s for result in loads["limited"] if result.redis is not None]
        rows.append(_goal("CPU a message, more with limits than without, %", _more_percent(loads), "limits_percent", 1))
        rows.append(_goal("Redis CPU µs a session-second", Spread.of(redis), "redis_us", 1))
    return markdown_table([f"at {_GOAL_SESSIONS:,} sessions", "goal", "measured", "met"], rows)


def _goals_of(findings: Findings, name: str, shown: str) -> list[list[str]]:
    loads = findings.loads[_GOAL_SESSIONS]
    gateway, engine, memories = loads[name], loads["engine"], findings.memory[name]
    rows = []
    if "haproxy" in loads:
        ratio = _ratio(gateway, loads["haproxy"], "gateway")
        rows.append(_goal(f"{shown}CPU a message, gateway / HAProxy", ratio, "ratio", 2))
    is_too_slow = any(result.latency_p50_ms > _MOST_ENGINE_P50_MS for result in engine)
    pairs = list(zip(gateway, engine, strict=True))
    for share in ("p50", "p99"):
        added = Spread.of([getattr(a, f"latency_{share}_ms") - getattr(b, f"latency_{share}_ms") for a, b in pairs])
        row = _goal(f"{shown}latency added by the gateway, {share}, ms", added, f"added_{share}_ms", 2)
        rows.append([*row[:-1], "not known"] if is_too_slow else row)
    per_session = Spread.of([each.per_session_kib for each in memories])
    base = Spread.of([each.base_kib / 1_024 for each in memories])
    rows.append(_goal(f"{shown}each idle session, KiB", per_session, "session_kib", 1))
    rows.append(_goal(f"{shown}just started, MiB", base, "base_mib", 1))
    return rows


def _goal(name: str, measured: Spread, goal: str, digits: int) -> list[str]:
    most = _GOALS[goal]
    return [name, f"<= {most:g}", measured.shown(digits), "yes" if measured.median <= most else "**no**"]


def _cpu_us(results: list[LoadResult], process: str) -> Spread:
    return Spread.of([result.cpu_us_per_message[process] for result in results])


def _ratio(results: list[LoadResult], haproxy: list[LoadResult], process: str) -> Spread:
    """Of the CPU of one round to HAProxy's in the same round."""
    pairs = zip(results, haproxy, strict=True)
    return Spread.of([a.cpu_us_per_message[process] / b.cpu_us_per_message["haproxy"] for a, b in pairs])
