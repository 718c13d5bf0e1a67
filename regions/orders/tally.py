"""How far one gateway has come with one order. Pure: told again and again who is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from regions.orders.reports import OrderProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Standing:
    """A session on the order's target. `stays_because`: it has nowhere to go; empty: it has.

    `is_own`: of this gateway; else it is one of another region's, whose stream comes over the relay.
    """

    is_told: bool = False
    stays_because: str = ""
    is_own: bool = True


class OrderTally:
    """Of one order, from when this gateway first saw it, or started."""

    def __init__(self, order_id: str, *, within_ms: int, started_at_unix_ms: int) -> None:
        self._order_id = order_id
        self._started_at_unix_ms = started_at_unix_ms
        self._late_at_unix_ms = started_at_unix_ms + within_ms
        self._standing: Mapping[str, Standing] = {}
        self._moved = 0
        self._ended = 0
        self._peers_gone = 0
        self._done_at_unix_ms = 0

    def look(self, standing: Mapping[str, Standing], *, is_alive: Callable[[str], bool], unix_ms: int) -> int:
        """By the session's id: who is there at this moment. `is_alive`: whether one of our own that is not there any
        more goes on elsewhere. Gives how many of them moved since the last look.
        """
        moved = 0
        for session_id, was in self._standing.items():
            if session_id in standing:
                continue
            if not was.is_own:
                self._peers_gone += 1
            elif is_alive(session_id):
                moved += 1
            else:
                self._ended += 1
        self._moved += moved
        self._standing = standing
        if standing:
            self._done_at_unix_ms = 0
        elif not self._done_at_unix_ms:
            self._done_at_unix_ms = unix_ms
        return moved

    def age_ms(self, unix_ms: int) -> int:
        """Since this gateway first saw the order; 0 where its clock was set back since."""
        return max(0, unix_ms - self._started_at_unix_ms)

    @property
    def is_done(self) -> bool:
        return self._done_at_unix_ms != 0

    def progress(self, unix_ms: int) -> OrderProgress:
        stuck: dict[str, int] = {}
        moving = 0
        for one in self._standing.values():
            if one.stays_because:
                stuck[one.stays_because] = stuck.get(one.stays_because, 0) + 1
            else:
                moving += one.is_told
        left = len(self._standing)
        return OrderProgress(
            order_id=self._order_id,
            total=left + self._moved + self._ended + self._peers_gone,
            moved=self._moved,
            ended=self._ended,
            peers_gone=self._peers_gone,
            moving=moving,
            waiting=left - moving - sum(stuck.values()),
            left=left,
            stuck=stuck,
            started_at_unix_ms=self._started_at_unix_ms,
            done_at_unix_ms=self._done_at_unix_ms,
            is_late=left > 0 and unix_ms >= self._late_at_unix_ms,
        )
