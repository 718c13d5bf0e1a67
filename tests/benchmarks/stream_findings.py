"""What the paced comparison found: every level of every ramp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tests.benchmarks.measures import Spread
from tests.benchmarks.stream_load import RampResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.stream_load import Level


class Tried(msgspec.Struct, frozen=True):
    """What one setting of sherpa-onnx's flags gave."""

    flags: str
    result: RampResult

    @property
    def last_lag_ms(self) -> float:
        """p95 at the highest level that was reached."""
        return self.result.levels[-1].partial_lags.p95_ms


class StreamFindings(msgspec.Struct, frozen=True, kw_only=True):
    """`ramps`: by server, one a round; the first is the coarse one."""

    machine: dict[str, str]
    silence_share: float
    most_lag_ms: float
    measure_s: float
    flags: str
    tried: list[Tried]
    ramps: dict[str, list[RampResult]]

    def levels(self, server: str) -> Iterator[Level]:
        """All that were measured, in any order, without those for which the load was late."""
        for ramp in self.ramps[server]:
            yield from (level for level in ramp.levels if not level.is_load_late)

    def best(self, server: str) -> Spread:
        """The most streams that were served well, over the fine rounds."""
        ramps = self.ramps[server]
        return Spread.of([ramp.best for ramp in ramps[1:] or ramps])

    @property
    def common(self) -> int:
        """The highest number of streams that all servers served well in their first rounds."""
        served = [{level.streams for level in ramps[0].levels if level.is_good} for ramps in self.ramps.values()]
        return max(set.intersection(*served), default=0)

    def at(self, server: str, streams: int) -> Level:
        """Raises StopIteration: nobody measured it."""
        return next(level for level in self.ramps[server][0].levels if level.streams == streams)

    def kib_per_stream(self, server: str) -> Spread:
        """How much more memory each stream takes, from the first level of a ramp to its last good one; all processes.

        Not from no stream on: what a server tries out at its start may be more than it holds later.
        """
        slopes = []
        for ramp in self.ramps[server]:
            good = [level for level in ramp.levels if level.is_good]
            if len(good) > 1:
                grown_kib = sum(good[-1].rss_kib.values()) - sum(good[0].rss_kib.values())
                slopes.append(grown_kib / (good[-1].streams - good[0].streams))
        return Spread.of(slopes or [0.0])

    def idle_mib(self, server: str) -> float:
        return max(sum(ramp.idle_rss_kib.values()) for ramp in self.ramps[server]) / 1_024
