"""Whether a drill passed: what was measured, held against what its file says must be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regions.lab.findings import (
    drained_within_s,
    is_excused,
    lives_once_within_s,
    moved_within_s,
    recovered_within_s,
    untold,
)
from regions.lab.stall_floor import quantile_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from regions.lab.call_record import CallRecord
    from regions.lab.drill_file import DrillSpec, PassSpec
    from regions.lab.findings import Findings


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that must hold. `measured` None: there was nothing to measure."""

    name: str
    measured: float | None
    bound: float
    is_met: bool


def judge(drill: DrillSpec, findings: Findings, figures: Mapping[str, Any]) -> list[Criterion]:
    """Hold the figures against what the drill says must be."""
    return [*_always(drill.must, findings, figures), *_if_named(drill.must, findings, figures)]


def _always(must: PassSpec, findings: Findings, figures: Mapping[str, Any]) -> Iterator[Criterion]:
    words = figures["words"]
    kept = _kept(must, findings)
    overloaded = [name for name, (used, slots) in findings.most_used.items() if used > slots]
    yield _at_most("words lost by position", words["lost_by_position"], must.words_lost)
    yield _at_most("words lost by text", words["lost_by_text"], must.words_lost)
    yield _at_most("words doubled by position", words["doubled_by_position"], must.words_doubled)
    yield _at_most("words doubled by text", words["doubled_by_text"], must.words_doubled)
    failed = sum(bool(record.failure) and record.was_served for record in kept)
    if findings.fence is not None:
        yield _at_most("outside the fence", len(findings.fence.outside), must.outside_fence)
    yield _at_most("sessions failed", failed, must.sessions_failed)
    yield _at_most("placed outside the policy set", len(figures["outside_policy"]), must.outside_policy)
    yield _at_most("engines above their slots", len(overloaded), must.overloaded_engines)
    if must.all_served:
        yield _at_most("callers not served", sum(not record.was_served for record in kept), 0)


def _if_named(must: PassSpec, findings: Findings, figures: Mapping[str, Any]) -> Iterator[Criterion]:
    for name, measured, bound in _upper_bounds(must, findings, figures):
        if bound is not None:
            yield _at_most(name, measured, bound)
    for name, least, wanted in (
        ("moves", figures["moves"]["all"], must.moves_least),
        ("resumes", figures["moves"]["resumes"], must.resumes_least),
        ("sessions shed", figures["sessions"]["shed"], must.shed_least),
        ("processes upgraded", len(findings.upgraded), must.upgraded_least),
        (
            "sessions ended by policy",
            sum(record.was_ended_by_policy for record in findings.records),
            must.ended_by_policy_least,
        ),
        (
            "sessions ended by quota",
            sum(record.was_ended_by_quota for record in findings.records),
            must.ended_by_quota_least,
        ),
        ("sessions fell back", figures["sessions"]["fell_back"], must.fell_back_least),
        (
            "sessions over WebTransport at their end",
            figures["sessions"]["by_last_protocol"].get("webtransport", 0),
            must.webtransport_least,
        ),
    ):
        if wanted is not None:
            yield _at_least(name, least, wanted)


def _upper_bounds(
    must: PassSpec, findings: Findings, figures: Mapping[str, Any]
) -> list[tuple[str, float | None, float | None]]:
    since_s = max((struck.at_s for struck in findings.struck), default=0.0)
    kept = _kept(must, findings)
    pauses = [pause for record in kept for pause in record.pauses_ms()]
    lags = [lag_ms for record in kept for _, lag_ms in record.lags()]
    return [
        ("pause p50, ms", _quantile(pauses, 0.5), must.pause_p50_ms),
        ("pause p99, ms", _quantile(pauses, 0.99), must.pause_p99_ms),
        ("longest pause, ms", _quantile(pauses, 1.0), must.pause_longest_ms),
        ("lag p99, ms", _quantile(lags, 0.99), must.lag_p99_ms),
        (
            "lag recovered, s",
            recovered_within_s(kept, since_s=since_s, bound_ms=must.lag_bound_ms),
            must.lag_recovered_within_s,
        ),
        ("moves", figures["moves"]["all"], must.moves_most),
        ("first choices refused, ‰", figures["first_choices"]["refused_permille"], must.first_choice_refused_permille),
        ("moved, s", _rounded(moved_within_s(findings)), must.moved_within_s),
        ("drained, s", _rounded(drained_within_s(findings.orders)), must.drained_within_s),
        ("refused without being told", len(untold(findings.records)), 0 if must.refused_were_told else None),
        ("each session lives once, s", _rounded(lives_once_within_s(findings)), must.lives_once_within_s),
        ("streams left", findings.streams_left, must.streams_left),
        ("sessions fell back", figures["sessions"]["fell_back"], must.fell_back_most),
        (
            "audio after a region left the set, s",
            None if findings.fence is None else round(findings.fence.longest_after_change_s, 2),
            must.fence_longest_s,
        ),
    ]


def _kept(must: PassSpec, findings: Findings) -> list[CallRecord]:
    """Sessions that had to be served well."""
    return [record for record in findings.records if not is_excused(record, must)]


def _quantile(values: list[float], share: float) -> float | None:
    return round(quantile_of(values, share), 1) if values else None


def _rounded(measured: float | None) -> float | None:
    return None if measured is None else round(measured, 2)


def _at_most(name: str, measured: float | None, bound: float) -> Criterion:
    return Criterion(f"{name} at most", measured, bound, measured is not None and measured <= bound)


def _at_least(name: str, measured: float, bound: float) -> Criterion:
    return Criterion(f"{name} at least", measured, bound, measured >= bound)
