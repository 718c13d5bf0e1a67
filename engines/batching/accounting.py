"""Who pays for the inference thread's time. PURE.

Every microsecond that the thread is at work is some stream's: a step's rows share the step and all the work that was
done since the step before it (taking commands, making room, handing out results). What follows the last step is carried
to the next one. So the shares of all streams add up to the thread's busy time, less what no step has followed yet.
"""

from __future__ import annotations


class ComputeLedger:
    """Busy time that was measured, and the part of it that was charged. Microseconds."""

    def __init__(self) -> None:
        self.busy_us = 0
        """All work since the start."""
        self.charged_us = 0
        """What streams were told of it."""

    def worked(self, elapsed_us: int) -> None:
        """The thread worked for so long."""
        self.busy_us += elapsed_us

    def charge(self, rows: int) -> list[int]:
        """Share out what has not been charged among the rows of a step, at least one."""
        uncharged_us = self.busy_us - self.charged_us
        self.charged_us = self.busy_us
        return split_evenly(uncharged_us, rows)


def split_evenly(total_us: int, parts: int) -> list[int]:
    """Integers that differ by at most one and sum to `total_us` exactly."""
    share_us, remainder_us = divmod(total_us, parts)
    return [share_us + 1] * remainder_us + [share_us] * (parts - remainder_us)
