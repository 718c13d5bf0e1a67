"""The tables of the benchmark of WebTransport: medians of the rounds, with the least and the most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.document import machine_line, markdown_table
from tests.benchmarks.measures import Spread
from tests.benchmarks.webtransport_findings import AIOQUIC, DATAGRAMS, MOST_ADDED_P99_MS, STREAMS, WEBSOCKET

if TYPE_CHECKING:
    from tests.benchmarks.load_client import LoadResult
    from tests.benchmarks.webtransport_findings import Lag, WebTransportFindings

_WAYS = {
    WEBSOCKET: "WebSocket, straight to the gateway",
    STREAMS: "**WebTransport, on the stream**",
    DATAGRAMS: "**WebTransport, in datagrams**",
    AIOQUIC: "plain aioquic server, on the stream",
}
_MEASURED = {WEBSOCKET: "gateway", STREAMS: "edge", DATAGRAMS: "edge", AIOQUIC: "sink"}
_GOAL_SESSIONS, _STRETCH_SESSIONS = 150, 300


def report(findings: WebTransportFindings) -> str:
    """Markdown."""
    parts = [machine_line(findings.machine), "### CPU a message, and how late results are", _load_table(findings)]
    parts += ["### Sessions that one core keeps up with", _most_table(findings)]
    if findings.set_ups:
        parts += ["### Opening and closing sessions", _set_up_table(findings)]
    return "\n\n".join(parts)


def lag_report(findings: WebTransportFindings) -> str:
    """Markdown, of the network that loses packets."""
    parts = [machine_line(findings.machine), "### Lag over a network that loses packets"]
    parts += [findings.no_lags or _lag_table(findings)]
    return "\n\n".join(parts)


def _load_table(findings: WebTransportFindings) -> str:
    header = ["", "sessions", "CPU µs a message, measured core", "gateway behind, µs", "p50 ms", "p99 ms", "MiB"]
    rows = []
    for way, by_count in findings.loads.items():
        own = _MEASURED[way]
        for count, results in by_count.items():
            has_gateway = own == "edge"
            rows.append(
                [
                    _WAYS[way],
                    f"{count}",
                    _cpu(results, own),
                    _cpu(results, "gateway") if has_gateway else "",
                    Spread.of([result.latency_p50_ms for result in results]).shown(2),
                    Spread.of([result.latency_p99_ms for result in results]).shown(2),
                    Spread.of([result.rss_kib[own] / 1_024 for result in results]).shown(0),
                ]
            )
    return markdown_table(header, rows)


def _cpu(results: list[LoadResult], process: str) -> str:
    return Spread.of([result.cpu_us_per_message[process] for result in results]).shown(0)


def _most_table(findings: WebTransportFindings) -> str:
    header = ["", f"sessions with at most {MOST_ADDED_P99_MS:g} ms added p99", "goal", "stretch"]
    rows = []
    for way, most in findings.most.items():
        spread = Spread.of([float(sessions) for sessions in most])
        goals = [
            f"{goal}: {'yes' if spread.median >= goal else '**no**'}" if way != AIOQUIC else ""
            for goal in (_GOAL_SESSIONS, _STRETCH_SESSIONS)
        ]
        rows.append([_WAYS[way], spread.shown(0), *goals])
    return markdown_table(header, rows)


def _set_up_table(findings: WebTransportFindings) -> str:
    header = ["", "CPU µs a session: edge", "gateway", "sessions a second, with this client"]
    rows = []
    for way, results in findings.set_ups.items():
        cpu = [
            Spread.of([result.cpu_us_per_session[process] for result in results]).shown(0)
            if process in results[0].cpu_us_per_session
            else ""
            for process in ("edge", "gateway")
        ]
        rate = Spread.of([result.sessions_per_s for result in results]).shown(0)
        rows.append([_WAYS[way], *cpu, rate])
    return markdown_table(header, rows)


def _lag_table(findings: WebTransportFindings) -> str:
    header = [
        "",
        "sent at once",
        "packets lost, %",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "most ms",
        "audio lost, %",
        "results missing",
    ]
    rows = []
    for case in next(iter(findings.lags.values()), {}):
        for way, by_case in findings.lags.items():
            lags = by_case[case]
            rows.append(
                [
                    _WAYS[way].replace("**", ""),
                    case.partition(",")[0],
                    Spread.of([100 * _lost_share(lag) for lag in lags]).shown(2),
                    *(
                        Spread.of([getattr(lag.result, f"{name}_ms") for lag in lags]).shown(0)
                        for name in ("p50", "p90", "p99", "most")
                    ),
                    Spread.of([100 * lag.result.lost_ms / lag.result.audio_ms for lag in lags]).shown(2),
                    str(sum(lag.result.expected_results - lag.result.results for lag in lags)),
                ]
            )
    late = max(
        (lag.link_late_p99_ms for by in findings.lags.values() for lags in by.values() for lag in lags), default=0
    )
    below = f"The link's own lateness: p99 at most {late:.2f} ms. Congestion control: TCP {findings.tcp}, QUIC reno."
    return f"{markdown_table(header, rows)}\n\n{below}"


def _lost_share(lag: Lag) -> float:
    return lag.link_lost / max(1, lag.link_lost + lag.link_passed)
