"""What a run of the benchmark of WebTransport has measured."""

from __future__ import annotations

import msgspec

from tests.benchmarks.lag_client import LagResult
from tests.benchmarks.load_client import LoadResult
from tests.benchmarks.setup_client import SetUpResult

WEBSOCKET, STREAMS, DATAGRAMS, AIOQUIC = "websocket", "streams", "datagrams", "aioquic"

MOST_ADDED_P99_MS = 20.0
LEAST_RESULTS_SHARE = 0.98
"""Of those expected; a few are always on their way when the measured time ends."""


class Lag(msgspec.Struct, frozen=True):
    """Over the lossy link. `link_*`: what the link itself did meanwhile."""

    result: LagResult
    link_passed: int
    link_lost: int
    link_late_p99_ms: float


class WebTransportFindings(msgspec.Struct):
    """By way; `loads` by sessions then, `lags` by the audio of a piece and the share of packets lost (`lag_case`). One
    entry a round.
    """

    machine: dict[str, str]
    loads: dict[str, dict[int, list[LoadResult]]]
    most: dict[str, list[int]]
    """The most sessions that one core kept up with."""
    set_ups: dict[str, list[SetUpResult]]
    lags: dict[str, dict[str, list[Lag]]]
    no_lags: str = ""
    """Why none were measured."""
    tcp: str = ""
    """The kernel's congestion control."""


def lag_case(piece_ms: int, loss: float) -> str:
    """Such as `100 ms, 2 %`."""
    return f"{piece_ms} ms, {100 * loss:g} %"


def keeps_up(result: LoadResult, websocket: LoadResult) -> bool:
    """Whether the slowest hundredth of results waits at most 20 ms longer than over WebSocket, and none is missing."""
    added_ms = result.latency_p99_ms - websocket.latency_p99_ms
    is_whole = result.results >= LEAST_RESULTS_SHARE * result.expected_results
    return added_ms <= MOST_ADDED_P99_MS and is_whole and not result.broken
