"""Drives one server with more and more paced streams until it no longer keeps up. A process of its own.

Reads one `RampOrder` as JSON on standard input and prints one `RampResult` as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog
import uvloop

from engines.interface import SAMPLE_RATE_HZ
from engines.recognition.features import samples_needed
from gateway.transports.websocket import PATH
from tests.benchmarks.engine_session import connected_link
from tests.benchmarks.measures import cpu_ns, quantile, rss_kib
from tests.benchmarks.stream_audio import CHUNK_SAMPLES, tracks
from tests.benchmarks.stream_pacing import StreamPacer
from tests.benchmarks.stream_sessions import (
    GatewayStream,
    LinkPacedStream,
    SherpaStream,
    WebSocketStream,
    gateway_messages,
    link_messages,
    sherpa_messages,
)
from tests.benchmarks.stream_timing import Timings
from tests.benchmarks.websocket_session import upgrade_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from tests.benchmarks.stream_sessions import PacedStream

    OpenPaced = Callable[[int], Awaitable[PacedStream]]

_START_TIMEOUT_S = 20.0
_GRACE_S = 0.7
"""Results for audio of the measured time are still taken so long after it."""
_FINAL_TIMEOUT_S = 10.0
_MOST_STARTS_PER_S = 100.0
_MOST_LATE_MS = 20.0
_MOST_LOAD_SHARE = 0.9
_LEAST_PACE = 0.97


class RampOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`levels`: numbers of streams, rising. `cpu_of`: the server's processes. `core`: the one that the load keeps to.

    After the measured time of the first level `finishes` of its streams are ended properly, one after the other.
    """

    server: Literal["sherpa", "engine", "gateway"]
    levels: tuple[int, ...]
    settle_s: float
    measure_s: float
    most_lag_ms: float
    silence_share: float
    finishes: int
    cpu_of: dict[str, int]
    core: int
    window_frames: int
    shift_frames: int
    """Of the model's step."""
    track_s: int = 40
    port: int = 0
    token: str | None = None
    engine: str = ""
    """The address of an engine."""


class Lags(msgspec.Struct, frozen=True):
    """Milliseconds over `count` results."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, lags_ns: Sequence[int]) -> Lags:
        ordered_ms = [lag_ns / 1e6 for lag_ns in sorted(lags_ns)]
        return cls(len(ordered_ms), *(quantile(ordered_ms, share) for share in (0.5, 0.95, 0.99)))


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What one number of streams gave. `pace`: audio recognised in a second of each stream; 0 where nobody says."""

    streams: int
    partial_lags: Lags
    step_lags: Lags
    pace: float
    cpu_s_per_audio_hour: dict[str, float]
    rss_kib: dict[str, int]
    late_p99_ms: float
    load_share: float
    """Of one core, spent by the load process itself."""
    shortcoming: str
    """Why the server does not keep up with so many; empty if it does."""
    is_load_late: bool
    """The load itself was too slow to say anything about the server."""

    @property
    def is_good(self) -> bool:
        return not self.shortcoming and not self.is_load_late


class RampResult(msgspec.Struct, frozen=True, kw_only=True):
    """Levels up to the first that was not good."""

    levels: tuple[Level, ...]
    idle_rss_kib: dict[str, int]
    first_words: Lags
    """Of the streams of the first level."""
    finals: Lags

    @property
    def best(self) -> int:
        """The most streams that were served well; 0 if the first level was too much."""
        return max((level.streams for level in self.levels if level.is_good), default=0)


class Ramp:
    """One order being carried out."""

    def __init__(self, order: RampOrder, open_stream: OpenPaced, timings: Timings) -> None:
        self._order = order
        self._open = open_stream
        self._timings = timings
        self._pacer = StreamPacer()
        self._streams: list[PacedStream] = []

    async def run(self) -> RampResult:
        order = self._order
        idle_rss_kib = {name: rss_kib(pid) for name, pid in order.cpu_of.items()}
        levels: list[Level] = []
        finals = first_words = Lags.of([])
        gc.collect()
        gc.freeze()
        gc.disable()
        self._pacer.start()
        try:
            for streams in order.levels:
                levels.append(await self._level(streams))
                if len(levels) == 1:
                    first_words = Lags.of(self._timings.first_words_ns)
                    await self._finish_some()
                    finals = Lags.of(self._timings.finals_ns)
                if not levels[-1].is_good:
                    break
        finally:
            self._pacer.stop()
            for stream in self._streams:
                stream.abort()
        return RampResult(levels=tuple(levels), idle_rss_kib=idle_rss_kib, first_words=first_words, finals=finals)

    async def _level(self, streams: int) -> Level:
        order, timings = self._order, self._timings
        await self._grow(streams)
        measure_ns = int(order.measure_s * 1e9)
        began_at_ns, own_ns = time.perf_counter_ns(), cpu_ns(0)
        timings.begin(began_at_ns, began_at_ns + measure_ns)
        self._pacer.late_ns.clear()
        sent_chunks, covered_samples = self._pacer.sent_chunks, timings.covered_samples
        before = {name: cpu_ns(pid) for name, pid in order.cpu_of.items()}
        await asyncio.sleep(order.measure_s)
        elapsed_s = (time.perf_counter_ns() - began_at_ns) / 1e9
        spent_s = {name: (cpu_ns(pid) - before[name]) / 1e9 for name, pid in order.cpu_of.items()}
        load_share = (cpu_ns(0) - own_ns) / 1e9 / elapsed_s
        audio_s = (self._pacer.sent_chunks - sent_chunks) * CHUNK_SAMPLES / SAMPLE_RATE_HZ
        pace = (timings.covered_samples - covered_samples) / SAMPLE_RATE_HZ / max(audio_s, 1e-9)
        late_p99_ms = quantile(sorted(self._pacer.late_ns), 0.99) / 1e6
        await asyncio.sleep(_GRACE_S)
        partial_lags = Lags.of(timings.partial_lags_ns)
        return Level(
            streams=streams,
            partial_lags=partial_lags,
            step_lags=Lags.of(timings.step_lags_ns),
            pace=pace,
            cpu_s_per_audio_hour={name: 3_600 * s / max(audio_s, 1e-9) for name, s in spent_s.items()},
            rss_kib={name: rss_kib(pid) for name, pid in order.cpu_of.items()},
            late_p99_ms=late_p99_ms,
            load_share=load_share,
            shortcoming=self._shortcoming(partial_lags, pace),
            is_load_late=late_p99_ms > _MOST_LATE_MS or load_share > _MOST_LOAD_SHARE,
        )

    def _shortcoming(self, partial_lags: Lags, pace: float) -> str:
        order = self._order
        if self._timings.broken:
            return f"{len(self._timings.broken)} streams broke: {self._timings.broken[0]}"
        if not partial_lags.count:
            return "no results"
        if partial_lags.p95_ms > order.most_lag_ms:
            return f"p95 above {order.most_lag_ms:.0f} ms"
        if order.server != "gateway" and pace < _LEAST_PACE:
            return f"recognises {pace:.2f} s of audio a second"
        return ""

    async def _grow(self, streams: int) -> None:
        """Add streams one after the other, and let the server catch up with what their beginning cost."""
        missing = streams - len(self._streams)
        takes_s = max(self._order.settle_s, missing / _MOST_STARTS_PER_S)
        began_at_s = time.monotonic()
        for number in range(missing):
            await asyncio.sleep(began_at_s + number * takes_s / missing - time.monotonic())
            stream = await self._open(len(self._streams))
            self._streams.append(stream)
            self._pacer.add(stream)
        await asyncio.sleep(self._order.settle_s)

    async def _finish_some(self) -> None:
        """As many more are opened with the next level."""
        if not self._order.finishes:
            return
        ending, self._streams = self._streams[: self._order.finishes], self._streams[self._order.finishes :]
        for stream in ending:
            await asyncio.sleep(self._order.settle_s / len(ending))
            self._pacer.remove(stream)
            stream.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINAL_TIMEOUT_S):
                while len(self._timings.finals_ns) < len(ending) and not self._timings.broken:
                    await asyncio.sleep(0.02)
        for stream in ending:
            stream.abort()


@contextlib.asynccontextmanager
async def _opener(order: RampOrder, timings: Timings) -> AsyncIterator[OpenPaced]:
    audio = tracks(silence_share=order.silence_share, duration_s=order.track_s)
    match order.server:
        case "engine":
            async with connected_link(order.engine) as link:
                messages = [link_messages(track) for track in audio]

                async def open_on_link(number: int) -> PacedStream:
                    stream = LinkPacedStream(link, f"s{number}", messages[number % len(messages)], timings)
                    await _started(stream.started)
                    return stream

                yield open_on_link
        case "gateway":
            messages = [gateway_messages(track) for track in audio]
            request = upgrade_request(PATH, f"127.0.0.1:{order.port}", order.token)
            yield _websocket_opener(
                order.port, lambda number: GatewayStream(request, messages[number % len(messages)], timings)
            )
        case "sherpa":
            messages = [sherpa_messages(track) for track in audio]
            request = upgrade_request("/", f"127.0.0.1:{order.port}", None)
            step_end_sample = sherpa_step_ends(window_frames=order.window_frames, shift_frames=order.shift_frames)
            yield _websocket_opener(
                order.port,
                lambda number: SherpaStream(request, messages[number % len(messages)], timings, step_end_sample),
            )


def _websocket_opener(port: int, make: Callable[[int], WebSocketStream]) -> OpenPaced:
    async def opened(number: int) -> PacedStream:
        stream = make(number)
        await asyncio.get_running_loop().create_connection(lambda: stream, "127.0.0.1", port)
        await _started(stream.started)
        return stream

    return opened


async def _started(started: asyncio.Future[None]) -> None:
    """A stream that is not started in time is counted as one without results."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_TIMEOUT_S):
            await started


def sherpa_step_ends(*, window_frames: int, shift_frames: int) -> Callable[[int], int]:
    """The audio that step k of sherpa-onnx waits for: it wants one frame more than the step reads."""
    return lambda step: samples_needed(step * shift_frames + window_frames + 1)


async def _carry_out(order: RampOrder) -> RampResult:
    timings = Timings()
    async with _opener(order, timings) as open_stream:
        return await Ramp(order, open_stream, timings).run()


if __name__ == "__main__":
    structlog.configure(  # the link's log: standard output is ours
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=RampOrder)
    os.sched_setaffinity(0, {given.core})
    sys.stdout.write(msgspec.json.encode(uvloop.run(_carry_out(given))).decode() + "\n")
