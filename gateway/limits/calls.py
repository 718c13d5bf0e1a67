"""What the limiter asks Redis for, and what it hears: one batch for one org is one script call. Pure.

Every request can be made again after a lost answer and does nothing twice: slices below the tab's `settled` are known,
credit is asked for as a total to hold, a place is taken by name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from gateway.metering.entries import Slice, TabLabels, UsageEvent

if TYPE_CHECKING:
    from policies.plans import CallerPlan, Level


class Open(msgspec.Struct, frozen=True):
    """Take a place and the first credit: all levels or none. Opening a tab that is there renews it."""

    labels: TabLabels
    plan: CallerPlan
    hold_us: int
    least_hold_us: int


class Run(msgspec.Struct, frozen=True):
    """Settle slices, bring what is held to `hold_us` (or, if that is refused, to `least_hold_us`), renew the lease.

    `renews_lease`: at least every TTL / 3. `hold_us` 0: settle alone. `has_new_labels`: they replace the tab's.
    """

    labels: TabLabels
    plan: CallerPlan
    slices: tuple[Slice, ...]
    hold_us: int
    least_hold_us: int
    renews_lease: bool
    has_new_labels: bool = False


class Close(msgspec.Struct, frozen=True):
    """Settle the last slices, give back what is held and the place, bill what is not billed yet.

    `is_swept`: by another than its own gateway, which seems dead. Refused while the place is held; a `Run` opens the
    tab anew. `plan` may then have no limits, as only its principal counts.
    """

    labels: TabLabels
    plan: CallerPlan
    slices: tuple[Slice, ...] = ()
    is_swept: bool = False


class Restore(msgspec.Struct, frozen=True):
    """Redis lost the tab, or never had it: make it anew from what the gateway knows. Refuses nothing: this was spent.

    Goes after the `Record`s of the session, as events before `recorded` are taken to be there.

    `recorded`: the number of the first slice that no event covers; `slices` begin there. The totals are those of all
    slices before. A tab that is there, and knows as much, is left as it is; it takes the labels if it settled nothing.
    """

    labels: TabLabels
    plan: CallerPlan
    recorded: int
    compute_before_us: int
    audio_before_ms: int
    connection_before_ms: int
    slices: tuple[Slice, ...]
    hold_us: int
    is_over: bool
    """The session has ended: bill everything, hold nothing, take no place."""


class Record(msgspec.Struct, frozen=True):
    """Write an event again that Redis may have lost; left out where the tab says that it is there. Oldest first."""

    event: UsageEvent


Request = Open | Run | Close | Restore | Record


class Status(StrEnum):
    ok = "ok"
    refused = "refused"
    """Credit or a place; what was to be settled was settled all the same."""
    unknown_tab = "unknown_tab"
    """Redis has no such tab; nothing was done. `Restore` is due."""
    missing_slices = "missing_slices"
    """Slices before those given were never settled; nothing was done. Give those from `settled` on."""


class RefusedFor(StrEnum):
    sessions = "sessions"
    starts = "starts"
    compute = "compute"


class Reply(msgspec.Struct, frozen=True):
    """`settled`, `recorded`: the first slice that is not settled, not covered by an event. `settled_us`: of all slices.

    `remaining_us`: the least that a level that limits compute has left, and `level` which one that is; after a refusal
    the narrowest level that refused. `shadow_level`: the narrowest level in shadow mode that would have refused.

    `num_cuts`: how many events of the tab were ended early, by a sweep or new labels, and `last_cut` the slice before
    which the last of them ended: by nothing else does the gateway know of it.
    """

    status: Status
    settled: int = 0
    recorded: int = 0
    settled_us: int = 0
    held_us: int = 0
    remaining_us: int | None = None
    level: Level | None = None
    retry_after_ms: int | None = None
    refused_for: RefusedFor | None = None
    shadow_level: Level | None = None
    shadow_for: RefusedFor | None = None
    num_cuts: int = 0
    last_cut: int = 0
