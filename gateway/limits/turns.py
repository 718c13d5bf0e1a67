"""What is due for a tab, as a request, and what an answer means for it. No waiting here.

These must stay true:
  - A tab with a request under way gets no other.
  - Credit is asked for as a total, so that an answer that was lost costs nothing.
  - While Redis lacks the tab, or is away, its session is told that no limit holds.
"""

from __future__ import annotations

import functools
import random
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.limits.calls import Close, RefusedFor, Restore, Run, Status
from gateway.limits.tabs import UNLIMITED
from gateway.session.credit import QuotaUpdate

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.limits.calls import Reply
    from gateway.limits.tabs import Tab
    from gateway.metering.entries import Slice
    from gateway.metering.journal_interface import JournaledTab
    from gateway.session.credit import UsedSoFar

MAX_SLICES = 100
"""Of one tab in one request; what is left goes with the next. Redis does nothing else meanwhile."""

_LOOK_TICKS = 5


@functools.lru_cache(maxsize=10_000)
def phase_ms_of(org: str) -> int:
    """Orgs cut at different times, so that not all of them are due in the same tick."""
    return zlib.crc32(org.encode())


@dataclass(frozen=True, slots=True)
class TurnRules:
    tick_ms: int
    slice_ms: int
    away_slice_ms: int
    lease_ttl_ms: int
    phase_ms_of: Callable[[str], int] = phase_ms_of
    """For an org's name; any number."""

    @property
    def idle_slice_ms(self) -> int:
        """A session that uses nothing is written down as often as its place is renewed."""
        return max(self.slice_ms, self.lease_ttl_ms // 3)

    def next_cut_ms(self, org: str, cut_at_ms: int) -> int:
        """When a slice that began at `cut_at_ms` ends: all sessions of an org together, as they share a call then."""
        phase_ms = self.phase_ms_of(org) % self.slice_ms
        boundary_ms = cut_at_ms - (cut_at_ms - phase_ms) % self.slice_ms + self.slice_ms
        is_tiny = 2 * (boundary_ms - cut_at_ms) < self.slice_ms
        return boundary_ms + self.slice_ms if is_tiny else boundary_ms


TabRequest = Run | Close | Restore


def cut_if_due(tab: Tab, now_ms: int, rules: TurnRules, *, is_away: bool) -> UsedSoFar | None:
    """What the session used so far; None: it has none yet, or is over. Cuts a slice where that is due."""
    if tab.session is None:
        return None
    used = tab.session.used_so_far()
    elapsed_ms = now_ms - tab.cut_at_ms
    is_long_enough = (
        elapsed_ms >= rules.away_slice_ms if is_away else now_ms >= rules.next_cut_ms(tab.labels.org, tab.cut_at_ms)
    )
    if is_long_enough and (tab.has_used(used) or elapsed_ms >= rules.idle_slice_ms):
        tab.cut(used, now_ms)
    return used


def next_request(
    tab: Tab, used: UsedSoFar | None, now_ms: int, rules: TurnRules, *, num_sharing: int
) -> TabRequest | None:
    """What is due for a tab that Redis has; None: nothing. `num_sharing`: sessions that may draw on the same limits."""
    slices = tuple(tab.pending[:MAX_SLICES])
    if tab.is_over and len(slices) == len(tab.pending) and not tab.has_new_labels:
        return Close(labels=tab.labels, plan=tab.plan, slices=slices)
    renews_lease = now_ms >= tab.renew_at_ms
    if not slices and not renews_lease and not tab.has_new_labels and not (used and _lacks_credit(tab, used, now_ms)):
        return None
    unsent_us = sum(piece.compute_us for piece in tab.pending[MAX_SLICES:]) if len(tab.pending) > MAX_SLICES else 0
    hold_us, least_hold_us = _holds(tab, used, tab.compute_us - unsent_us, num_sharing)
    return Run(
        labels=tab.labels,
        plan=tab.plan,
        slices=slices,
        hold_us=hold_us,
        least_hold_us=least_hold_us,
        renews_lease=renews_lease or bool(slices),
        has_new_labels=tab.has_new_labels,
    )


def next_look_ms(
    tab: Tab, used: UsedSoFar | None, now_ms: int, rules: TurnRules, *, request: TabRequest | None = None
) -> int:
    """When a tab is looked at again: sooner where its credit goes fast.

    `request`: what was due now, if anything, taken as granted; `take_reply` has the tab looked at again at once where
    it is not, or where more is due.
    """
    if request is not None and (used is None or not isinstance(request, Run)):
        return 0
    latest_ms = now_ms + _LOOK_TICKS * rules.tick_ms
    cut_ms = rules.next_cut_ms(tab.labels.org, tab.cut_at_ms)
    if cut_ms > now_ms:
        latest_ms = min(latest_ms, cut_ms)
    if used is None or tab.granted_us is None:
        return latest_ms
    granted_us = tab.granted_us if request is None else max(tab.granted_us, tab.compute_us + request.hold_us)
    spent_us, elapsed_ms = used.compute_us - tab.seen_compute_us, now_ms - tab.seen_at_ms
    tab.seen_compute_us, tab.seen_at_ms = used.compute_us, now_ms
    spare_us = granted_us - (used.wanted_us + used.compute_us) // 2
    if spent_us <= 0 or elapsed_ms <= 0:
        return latest_ms
    # Twice on the way to where more is due, should the pace rise.
    return min(latest_ms, max(now_ms, tab.credit_at_ms, now_ms + spare_us * elapsed_ms // (2 * spent_us)))


def restoring(tab: Tab, known: JournaledTab | None) -> Restore:
    """`known`: what the journal has; without it (the disk failed) what is not settled is all that can be restored."""
    if known is None:
        slices: list[Slice] = tab.pending
        recorded = slices[0].number if slices else tab.next_number
        compute_before_us = tab.compute_us - sum(piece.compute_us for piece in slices)
        audio_before_ms = tab.audio_ms - sum(piece.audio_ms for piece in slices)
        connection_before_ms = tab.connection_ms - sum(piece.connection_ms for piece in slices)
    else:
        slices, recorded = known.slices, known.recorded
        compute_before_us, audio_before_ms = known.compute_before_us, known.audio_before_ms
        connection_before_ms = known.connection_before_ms
    given = tuple(slices[:MAX_SLICES])
    return Restore(
        labels=tab.labels,
        plan=tab.plan,
        recorded=recorded,
        compute_before_us=compute_before_us,
        audio_before_ms=audio_before_ms,
        connection_before_ms=connection_before_ms,
        slices=given,
        hold_us=0,  # a hold by `Restore` is never refused; the `Run` that follows asks for it
        is_over=tab.is_over and len(given) == len(slices),
    )


def take_reply(tab: Tab, request: TabRequest, reply: Reply, *, sent_at_ms: int, rules: TurnRules) -> bool:
    """Let the answer be true; whether all of a tab that is over is settled, so that it can be forgotten."""
    if reply.status in (Status.unknown_tab, Status.missing_slices):
        lose(tab)
        return False
    tab.needs_restore = False
    tab.settled(reply.settled)
    tab.set_recorded(reply.recorded, num_cuts=reply.num_cuts, last_cut=reply.last_cut)
    if isinstance(request, Close) or (isinstance(request, Restore) and request.is_over):
        return True
    if isinstance(request, Restore) or request.has_new_labels:
        tab.has_new_labels = tab.labels is not request.labels
    if isinstance(request, Restore) or request.renews_lease:
        tab.renew_at_ms = sent_at_ms + rules.lease_ttl_ms // 3
    if isinstance(request, Run):
        _take_credit(tab, request, reply, sent_at_ms, rules)
    if isinstance(request, Restore) or reply.held_us < request.hold_us or tab.pending or tab.has_new_labels:
        tab.look_at_ms = 0
    return False


def lose(tab: Tab) -> None:
    """Redis does not know the tab: until it does again, no limit holds."""
    tab.needs_restore = True
    tab.look_at_ms = 0
    if tab.is_limited:
        tab.tell(UNLIMITED)


def _take_credit(tab: Tab, request: Run, reply: Reply, sent_at_ms: int, rules: TurnRules) -> None:
    if not tab.is_limited:
        if tab.granted_us is not None:
            tab.tell(UNLIMITED)  # the plan was changed
        return
    is_refused = reply.status is Status.refused and reply.refused_for is RefusedFor.compute
    retry_after_ms = reply.retry_after_ms if is_refused else None
    if is_refused:
        # Those that wait come back at different times, so that none is always the last.
        wait_ms = max(rules.tick_ms, reply.retry_after_ms or 0)
        tab.credit_at_ms = sent_at_ms + wait_ms + random.randrange(1 + wait_ms // 4)
    elif reply.held_us < request.hold_us:
        tab.credit_at_ms = sent_at_ms + rules.slice_ms // 2
    else:
        tab.credit_at_ms = 0
    granted_us = reply.settled_us + reply.held_us
    if tab.granted_us is None or granted_us > tab.granted_us:
        tab.raised_at_ms = sent_at_ms
    tab.remaining_us = reply.remaining_us
    tab.tell(
        QuotaUpdate(granted_us, reply.remaining_us, reply.level, retry_after_ms, when_exhausted=tab.plan.when_exhausted)
    )


def _lacks_credit(tab: Tab, used: UsedSoFar, now_ms: int) -> bool:
    """Whether it is time to ask for more by itself: less than half of what lets the session run ahead is left."""
    if not tab.is_limited or now_ms < tab.credit_at_ms:
        return False
    if tab.granted_us is None:
        return True
    if tab.is_waiting or tab.granted_us < used.least_us:
        return True
    return 2 * (tab.granted_us - used.compute_us) < used.wanted_us - used.compute_us


def _holds(tab: Tab, used: UsedSoFar | None, settled_us: int, num_sharing: int) -> tuple[int, int]:
    """What to hold when so much is settled, and the least that helps.

    Never more than a level could ever hold; nor, where little is left, more than its share of that: the first to ask
    would take what all need.
    """
    if tab.burst_us is None or used is None:
        return 0, 0
    hold_us = min(max(0, used.wanted_us - settled_us), tab.burst_us)
    least_hold_us = min(max(0, used.least_us - settled_us), hold_us)
    if tab.remaining_us is not None:
        held_us = 0 if tab.granted_us is None else max(0, tab.granted_us - settled_us)
        hold_us = min(hold_us, max(least_hold_us, held_us + tab.remaining_us // max(1, num_sharing)))
    return hold_us, least_hold_us
