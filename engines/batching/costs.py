"""How long a step of so many rows takes: measured at start, corrected by every step since. PURE.

A step costs something whatever is in it, and something for each row. Neither is a constant of the model alone: the
machine, its other tenants and its clock have a say, so what was measured at start is only the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.contract import StepTime

_SMOOTHING = 8
"""A new observation of a size counts for an eighth: one slow step changes little."""
_SLOWDOWN_SMOOTHING = 32
_MOST_SLOWDOWN = 8.0
"""More than that in one step is an accident, not a slow machine."""


class StepCosts:
    """Durations by batch size, interpolated between the sizes that were seen. Sizes are kept by powers of two."""

    def __init__(self, measured: Iterable[StepTime]) -> None:
        """`measured` holds at least one entry."""
        self._calibrated = {_bucket(entry.batch): (entry.batch, float(entry.step_us)) for entry in measured}
        if not self._calibrated:
            raise ValueError("step costs need at least one measured step")
        self._observed = dict(self._calibrated)
        self._slowdown = 1.0

    def observe(self, batch: int, step_us: int) -> None:
        """A step of `batch` rows took so long."""
        ratio = min(_MOST_SLOWDOWN, step_us / max(1.0, _interpolated(self._calibrated, batch)))
        self._slowdown += (ratio - self._slowdown) / _SLOWDOWN_SMOOTHING
        bucket = _bucket(batch)
        before = self._observed.get(bucket)
        if before is None:
            self._observed[bucket] = (batch, float(step_us))
            return
        # Brought to the size that stands for the bucket, as sizes in one bucket differ by up to two.
        scaled_us = step_us * before[0] / batch
        self._observed[bucket] = (before[0], before[1] + (scaled_us - before[1]) / _SMOOTHING)

    def predicted_us(self, batch: int) -> int:
        """What a step of `batch` rows is expected to take; never less than was measured at start.

        Steps are cheaper while many streams are silent; whoever plans with that would be late when all speak. Where
        some sizes turned out slower, so does every other: it is the machine.
        """
        calibrated_us = _interpolated(self._calibrated, batch) * max(1.0, self._slowdown)
        return round(max(calibrated_us, _interpolated(self._observed, batch)))

    @property
    def fixed_us(self) -> int:
        """What a step costs before its first row."""
        one, two = self.predicted_us(1), self.predicted_us(2)
        return max(0, 2 * one - two)

    @property
    def row_us(self) -> int:
        """What one more row costs, at least 1."""
        largest = max(batch for batch, _ in self._calibrated.values())
        return max(1, (self.predicted_us(largest) - self.fixed_us) // largest)

    def rows_within(self, budget_us: int, *, most: int) -> int:
        """The most rows, at most `most`, whose step is expected to take no longer than `budget_us`."""
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if self.predicted_us(middle) <= budget_us:
                low = middle
            else:
                high = middle - 1
        return low


def _bucket(batch: int) -> int:
    return (batch - 1).bit_length()


def _interpolated(points: dict[int, tuple[int, float]], batch: int) -> float:
    """On the line between the neighbours; beyond the ends in proportion to the rows above the last, as the first below.

    Rising: a larger batch is never expected to take less than a smaller one.
    """
    known = sorted(points.values())
    longest_us = 0.0
    previous: tuple[int, float] | None = None
    for size, measured_us in known:
        longest_us = max(longest_us, measured_us)
        if batch <= size:
            if previous is None:
                return longest_us
            share = (batch - previous[0]) / (size - previous[0])
            return previous[1] + share * (longest_us - previous[1])
        previous = (size, longest_us)
    size, last_us = previous if previous is not None else (1, 0.0)
    return last_us * batch / size
