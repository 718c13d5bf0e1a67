"""What a drill came to, and whether it passed: arithmetic over the records of its calls. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from regions.lab.stall_floor import quantile_of
from regions.lab.transcripts import WordFaults, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regions.lab.call_record import CallRecord
    from regions.lab.drill_file import DrillSpec
    from regions.lab.faults import Struck
    from regions.lab.transcripts import SpokenWord

_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that must hold. `measured` None: there was nothing to measure."""

    name: str
    measured: float | None
    bound: float
    is_met: bool


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
    seed: int = 0
    elapsed_s: float = 0.0


def word_faults(findings: Findings) -> WordFaults:
    """Over all sessions that were served; one that ended early has lost its rest."""
    total = WordFaults()
    for record in findings.records:
        if record.was_served:
            total += compare(findings.undisturbed[record.audio_key], record.words)
    return total


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


def report(drill: DrillSpec, findings: Findings) -> dict[str, Any]:
    """As `patchbay lab drill --json` prints it."""
    records = findings.records
    faults = word_faults(findings)
    moves = [move for record in records for move in record.moves]
    pauses = [pause for record in records for pause in record.pauses_ms()]
    lags = [lag_ms for record in records for _, lag_ms in record.lags()]
    told = [move.told_pause_ms for move in moves]
    figures: dict[str, Any] = {
        "drill": drill.name,
        "seed": findings.seed,
        "elapsed_s": round(findings.elapsed_s, 1),
        "sessions": {
            "held": sum(record.was_served for record in records),
            "finished": sum(record.is_finished for record in records),
            "failed": _counts(record.failure for record in records if record.was_served and record.failure),
            "not_served": sum(not record.was_served for record in records),
            "refusals": _counts(reason for record in records for reason in record.refusals),
        },
        "faults": {
            "struck": len(findings.struck),
            "by_kind": _counts(struck.kind for struck in findings.struck for _ in struck.victims),
        },
        "words": {
            "undisturbed": faults.expected,
            "lost_by_position": faults.lost_by_position,
            "lost_by_text": faults.lost_by_text,
            "doubled_by_position": faults.doubled_by_position,
            "doubled_by_text": faults.doubled_by_text,
            "changed": faults.changed,
        },
        "pause_ms": _spread(pauses),
        "told_pause_ms": _spread(told),
        "lag_ms": _spread(lags),
        "moves": {
            "all": len(moves),
            "resumes": sum(move.is_resume for move in moves),
            "by_reason": _counts(move.reason for move in moves),
            "from_to": _counts(f"{move.from_region} -> {move.to_region}" for move in moves),
        },
        "outside_policy": outside_policy(records, drill.world.profiles),
        "engines": {
            name: {"most_used": used, "slots": slots} for name, (used, slots) in sorted(findings.most_used.items())
        },
        "first_choices": _first_choices(findings.metrics),
        "stall_floor_ms": dict(findings.stall_floor),
        "relay_added_ms": _worst_link(findings.links),
    }
    criteria = judge(drill, findings, figures)
    figures["criteria"] = [
        {"name": one.name, "measured": one.measured, "bound": one.bound, "met": one.is_met} for one in criteria
    ]
    figures["passed"] = all(one.is_met for one in criteria)
    return figures


def judge(drill: DrillSpec, findings: Findings, figures: Mapping[str, Any]) -> list[Criterion]:
    """Hold the figures against what the drill says must be."""
    must, words, moves = drill.must, figures["words"], figures["moves"]
    overloaded = [name for name, (used, slots) in findings.most_used.items() if used > slots]
    found = [
        _at_most("words lost by position", words["lost_by_position"], must.words_lost),
        _at_most("words lost by text", words["lost_by_text"], must.words_lost),
        _at_most("words doubled by position", words["doubled_by_position"], must.words_doubled),
        _at_most("words doubled by text", words["doubled_by_text"], must.words_doubled),
        _at_most("sessions failed", sum(figures["sessions"]["failed"].values()), must.sessions_failed),
        _at_most("placed outside the policy set", len(figures["outside_policy"]), must.outside_policy),
        _at_most("engines above their slots", len(overloaded), must.overloaded_engines),
    ]
    if must.all_served:
        found.append(_at_most("callers not served", figures["sessions"]["not_served"], 0))
    for share in ("p50", "p99"):
        bound = getattr(must, f"pause_{share}_ms")
        if bound is not None:
            found.append(_at_most(f"pause {share}, ms", figures["pause_ms"][share], bound))
    if must.lag_p99_ms is not None:
        found.append(_at_most("lag p99, ms", figures["lag_ms"]["p99"], must.lag_p99_ms))
    if must.lag_recovered_within_s is not None:
        since_s = max((struck.at_s for struck in findings.struck), default=0.0)
        within_s = recovered_within_s(findings.records, since_s=since_s, bound_ms=must.lag_bound_ms)
        found.append(_at_most("lag recovered, s", within_s, must.lag_recovered_within_s))
    if must.moves_least is not None:
        found.append(_at_least("moves", moves["all"], must.moves_least))
    if must.moves_most is not None:
        found.append(_at_most("moves", moves["all"], must.moves_most))
    if must.resumes_least is not None:
        found.append(_at_least("resumes", moves["resumes"], must.resumes_least))
    if must.first_choice_refused_permille is not None:
        measured = figures["first_choices"]["refused_permille"]
        found.append(_at_most("first choices refused, ‰", measured, must.first_choice_refused_permille))
    return found


def _at_most(name: str, measured: float | None, bound: float) -> Criterion:
    return Criterion(f"{name} at most", measured, bound, measured is not None and measured <= bound)


def _at_least(name: str, measured: float, bound: float) -> Criterion:
    return Criterion(f"{name} at least", measured, bound, measured >= bound)


def _spread(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"count": 0, "p50": None, "p99": None}
    return {
        "count": len(values),
        "p50": round(quantile_of(list(values), 0.5), 1),
        "p99": round(quantile_of(list(values), 0.99), 1),
    }


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


_REFUSED_FIRST_CHOICES = ("patchbay_placement_first_choice_refused_total", "patchbay_pool_open_retries_total")


def _first_choices(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Of regions and, inside them, of engines: each second try of either counts, so this is rather too much."""
    made = metrics.get("patchbay_placement_first_choices_total", 0.0)
    refused = sum(metrics.get(name, 0.0) for name in _REFUSED_FIRST_CHOICES)
    return {"made": made, "refused": refused, "refused_permille": round(1_000 * refused / made, 1) if made else None}


def _worst_link(links: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What the relay of the slowest link added by itself."""
    worst = max(links.values(), key=lambda figures: figures["p99_ms"], default={"p50_ms": 0.0, "p99_ms": 0.0})
    return dict(worst)
