"""What a run of a drill left behind, and what can be measured in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from regions.lab.stall_floor import quantile_of
from regions.lab.transcripts import WordFaults, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regions.lab.call_record import CallRecord
    from regions.lab.drill_file import PassSpec
    from regions.lab.faults import Struck
    from regions.lab.fence import FenceFigures
    from regions.lab.operator import OrderRun
    from regions.lab.transcripts import SpokenWord

_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a run left behind. `most_used`: (streams, slots) of each engine at its fullest. Times are monotonic."""

    records: Sequence[CallRecord]
    undisturbed: Mapping[tuple[str, int, int], Sequence[SpokenWord]]
    struck: Sequence[Struck]
    most_used: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    stall_floor: Mapping[str, float] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    totals: Sequence[tuple[float, int]] = ()
    """(when, streams on all engines together), four times a second."""
    streams_left: int | None = None
    """On all engines, soon after the last caller was done."""
    orders: Sequence[OrderRun] = ()
    upgraded: Sequence[str] = ()
    fence: FenceFigures | None = None
    """Where audio was, held against policy; None: the world has no bundles."""
    not_done: Sequence[str] = ()
    """Orders that nobody took, and why an upgrade stopped."""
    seed: int = 0
    elapsed_s: float = 0.0


def is_excused(record: CallRecord, must: PassSpec) -> bool:
    """Whether it may have ended early, or not been served: its tier may be shed, or policy or its quota ended it."""
    return (
        record.tier in (must.shed_only or ())
        or (must.policy_ends and record.was_ended_by_policy)
        or (must.quota_ends and record.was_ended_by_quota)
    )


def word_faults(findings: Findings, must: PassSpec) -> WordFaults:
    """Over all sessions that were served. One that ended early has lost its rest; if it may have, only what it was
    given before counts.
    """
    total = WordFaults()
    for record in findings.records:
        if record.was_served:
            undisturbed: Sequence[SpokenWord] = findings.undisturbed[record.audio_key]
            words: Sequence[SpokenWord] = record.words
            if is_excused(record, must) and not record.is_finished:
                undisturbed = [word for word in undisturbed if word.end_ms <= record.words_end_ms]
                words = _without_torn_word(words, undisturbed)
            total += compare(undisturbed, words)
    return total


def _without_torn_word(words: Sequence[SpokenWord], undisturbed: Sequence[SpokenWord]) -> Sequence[SpokenWord]:
    """A session that is cut in the middle of a word has the beginning of it."""
    begins = undisturbed[-1].end_ms if undisturbed else 0
    return words[:-1] if words and words[-1].start_ms >= begins else words


def moved_within_s(findings: Findings) -> float | None:
    """From when the last fault began to the last move; None where nothing moved after a fault."""
    began_s = max((struck.at_s for struck in findings.struck), default=0.0)
    moved = [move.at_s for record in findings.records for move in record.moves if move.at_s >= began_s]
    return max(moved) - began_s if moved and findings.struck else None


def drained_within_s(orders: Sequence[OrderRun]) -> float | None:
    """The longest of the orders to drain, from its giving until nothing was left; None where one never came to that."""
    drains = [order for order in orders if order.act in ("drain", "disable")]
    taken_s = [order.done_at_s - order.given_at_s for order in drains if order.done_at_s is not None]
    return max(taken_s) if taken_s and len(taken_s) == len(drains) else None


def untold(records: Sequence[CallRecord]) -> list[str]:
    """Whoever was refused, or lost a session, without a reason or, where waiting helps, without a time to wait."""
    return [
        f"caller {record.caller}: {told.reason}"
        for record in records
        for told in record.told
        if not told.reason or (told.is_retryable and not told.retry_after_ms)
    ] + [f"caller {record.caller}: nothing" for record in records if record.failure and not record.told]


def lives_once_within_s(findings: Findings) -> float | None:
    """After the last fault was over, until engines had no more streams than there were sessions a moment before; None
    where nobody looked after that.
    """
    over_s = max((struck.over_at_s for struck in findings.struck), default=0.0)
    looks = [(at_s, streams) for at_s, streams in findings.totals if at_s >= over_s]
    bad = [at_s for at_s, streams in looks if streams > _living(findings.records, at_s)]
    if not looks or (bad and bad[-1] == looks[-1][0]):
        return None
    return bad[-1] - over_s if bad else 0.0


def _living(records: Sequence[CallRecord], at_s: float) -> int:
    """Sessions that were there at some time of the second before."""
    return sum(0.0 < record.began_at_s <= at_s and not 0.0 < record.ended_at_s < at_s - _WINDOW_S for record in records)


def outside_policy(records: Sequence[CallRecord], profiles: Mapping[str, Sequence[str]]) -> list[str]:
    """Each place where a session was and may not have been."""
    return [
        f"caller {record.caller} in {region}"
        for record in records
        if record.profile
        for region in record.regions
        if region not in profiles[record.profile]
    ]


def recovered_within_s(records: Sequence[CallRecord], *, since_s: float, bound_ms: float) -> float | None:
    """From when on each later second's p99 of lag is below the bound, in seconds after `since_s`; None: never."""
    windows: dict[int, list[float]] = {}
    for record in records:
        for at_s, lag_ms in record.lags():
            if at_s >= since_s:
                windows.setdefault(int((at_s - since_s) / _WINDOW_S), []).append(lag_ms)
    bad = [window for window, lags in windows.items() if quantile_of(lags, 0.99) >= bound_ms]
    if not windows or (bad and max(bad) >= max(windows)):
        return None
    return (max(bad) + 1) * _WINDOW_S if bad else 0.0
