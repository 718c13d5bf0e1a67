"""A session's tab as its gateway keeps it: what it used, cut into slices, and the credit that Redis granted.

These must stay true:
  - Slices have numbers without a gap, and together they are exactly what the session said that it used.
  - A slice is in the journal before it is among those to be settled.
  - `granted_us` is only what Redis answered, or None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.metering.entries import Slice
from gateway.session.credit import QuotaUpdate
from policies.plans import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.limits.interface import LimitedSession
    from gateway.metering.entries import TabLabels
    from gateway.metering.journal_interface import Journal, JournaledTab
    from gateway.session.credit import UsedSoFar
    from policies.plans import CallerPlan

UNLIMITED = QuotaUpdate(None)


@dataclass(frozen=True, slots=True)
class TabHouse:
    """What all tabs of a process share. `unix_ms`: for the hour that a slice is billed in."""

    journal: Journal
    monotonic_ms: Callable[[], int]
    unix_ms: Callable[[], int]


class Tab:
    """See gateway.limits.interface.SessionTab; the other attributes are the ticker's."""

    __slots__ = (
        "_house",
        "at_ms",
        "audio_ms",
        "burst_us",
        "compute_us",
        "connection_ms",
        "credit_at_ms",
        "cut_at_ms",
        "granted_us",
        "has_new_labels",
        "is_in_flight",
        "is_over",
        "is_waiting",
        "labels",
        "look_at_ms",
        "needs_restore",
        "next_number",
        "opening",
        "pending",
        "plan",
        "plans_version",
        "raised_at_ms",
        "recorded",
        "remaining_us",
        "renew_at_ms",
        "seen_at_ms",
        "seen_compute_us",
        "session",
    )

    def __init__(self, labels: TabLabels, plan: CallerPlan, house: TabHouse, opening: QuotaUpdate = UNLIMITED) -> None:
        now_ms = house.monotonic_ms()
        self._house = house
        self.labels = labels
        self.plan = plan
        self.plans_version: object = None
        self.burst_us = burst_us(plan)
        """None: no level limits its compute."""
        self.opening = opening
        self.session: LimitedSession | None = None
        self.is_over = False

        # Usage. The totals are of all slices that were cut.
        self.compute_us = 0
        self.audio_ms = 0
        self.connection_ms = 0
        self.at_ms = 0
        self.next_number = 0
        self.cut_at_ms = now_ms
        self.seen_at_ms = now_ms
        self.seen_compute_us = 0
        self.pending: list[Slice] = []
        """Cut, and not known to be settled."""
        self.recorded = 0

        # Credit.
        self.granted_us = opening.granted_us
        self.is_waiting = False
        self.remaining_us = opening.remaining_us
        self.raised_at_ms = 0
        """When it was last granted more: where there is not enough for all, who has waited longest comes first."""
        self.credit_at_ms = 0
        """Not before this is more credit asked for by itself."""

        # Dealings with Redis.
        self.is_in_flight = False
        self.needs_restore = False
        self.has_new_labels = False
        self.renew_at_ms = 0
        self.look_at_ms = 0

    @property
    def session_id(self) -> str:
        return self.labels.session_id

    @property
    def is_limited(self) -> bool:
        return self.burst_us is not None

    def attach(self, session: LimitedSession, *, add_ons: tuple[str, ...]) -> None:
        if self.session is not None or self.is_over:
            raise RuntimeError("a tab is attached once, before it is released")
        self.session = session
        self.cut_at_ms = self._house.monotonic_ms()
        if add_ons:
            self.labels = msgspec.structs.replace(self.labels, add_ons=add_ons)
            self.has_new_labels = True
        self._house.journal.opened(self.labels, self.plan)
        # What came between `acquire` and now: Redis may have gone, or come back.
        if self.granted_us != self.opening.granted_us:
            session.quota_update(QuotaUpdate(self.granted_us))

    def release(self) -> None:
        if self.is_over:
            return
        session, self.session = self.session, None
        if session is not None:
            now_ms, used = self._house.monotonic_ms(), session.used_so_far()
            if self.has_used(used) or now_ms > self.cut_at_ms:
                self.cut(used, now_ms)
            self._house.journal.over(self.session_id)
        self.is_over = True
        self.is_waiting = False
        self.look_at_ms = 0

    def take_over(self, left: JournaledTab) -> None:
        """Be the tab of a session that an earlier process had and that is over."""
        self.is_over = self.needs_restore = True
        self.recorded, self.next_number = left.recorded, left.following
        self.compute_us = left.compute_before_us + sum(piece.compute_us for piece in left.slices)
        self.audio_ms = left.audio_before_ms + sum(piece.audio_ms for piece in left.slices)
        self.connection_ms = left.connection_before_ms + sum(piece.connection_ms for piece in left.slices)
        self.pending = list(left.slices)

    def has_used(self, used: UsedSoFar) -> bool:
        """Whether compute or audio was used since the last slice."""
        return used.compute_us != self.compute_us or used.audio_ms != self.audio_ms

    def cut(self, used: UsedSoFar, now_ms: int) -> Slice:
        """Make a slice of what was used since the last one, and journal it."""
        # Hours must not go back within a session, whatever the clock does.
        self.at_ms = max(self.at_ms, self._house.unix_ms())
        piece = Slice(
            number=self.next_number,
            compute_us=used.compute_us - self.compute_us,
            audio_ms=used.audio_ms - self.audio_ms,
            connection_ms=now_ms - self.cut_at_ms,
            at_ms=self.at_ms,
        )
        self.next_number += 1
        self.connection_ms += piece.connection_ms
        self.compute_us, self.audio_ms, self.cut_at_ms = used.compute_us, used.audio_ms, now_ms
        self._house.journal.used(self.session_id, piece)
        self.pending.append(piece)
        return piece

    def settled(self, before: int) -> None:
        """Redis has settled all slices below `before`."""
        pending = self.pending
        if pending and pending[0].number < before:
            self.pending = [piece for piece in pending if piece.number >= before]

    def set_recorded(self, before: int, *, num_cuts: int = 0, last_cut: int = 0) -> None:
        """Redis has events of all slices below `before`. The others as in gateway.limits.calls.Reply."""
        if before > self.recorded:
            self.recorded = before
            self._house.journal.recorded(self.session_id, before, num_cuts=num_cuts, last_cut=last_cut)

    def set_plan(self, plan: CallerPlan) -> None:
        """Limits as they are by now. What is billed goes on as it began: ids of events follow from it."""
        self.plan = plan
        self.burst_us = burst_us(plan)

    def tell(self, update: QuotaUpdate) -> None:
        """News for the session, if it is there."""
        self.granted_us = update.granted_us
        self.is_waiting = update.retry_after_ms is not None
        if self.session is not None:
            self.session.quota_update(update)


def burst_us(plan: CallerPlan) -> int | None:
    """The most that a session of this plan could ever hold; None: nothing limits its compute."""
    limits = [plan.of(level) for level in Level]
    if all(each.compute is None for each in limits):
        return None
    bursts = [each.compute.burst for each in limits if each.compute is not None and not each.is_shadow]
    return min(bursts, default=1 << 52)
