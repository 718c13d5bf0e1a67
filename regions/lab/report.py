"""What a drill came to, and whether it passed: arithmetic over the records of its calls. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from regions.lab.findings import outside_policy, untold, word_faults
from regions.lab.pass_marks import judge
from regions.lab.stall_floor import quantile_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regions.lab.call_record import CallRecord
    from regions.lab.drill_file import DrillSpec
    from regions.lab.findings import Findings


def report(drill: DrillSpec, findings: Findings) -> dict[str, Any]:
    """As `patchbay lab drill --json` prints it."""
    records = findings.records
    faults = word_faults(findings, drill.must)
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
            "told": _counts(told.reason for record in records for told in record.told),
            "untold": untold(records),
            "shed": sum(record.was_shed for record in records),
            "by_tier": _by_tier(records),
            "by_last_protocol": _counts(record.protocols[-1] for record in records if record.protocols),
            "fell_back": sum(record.fell_back for record in records),
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
        "pause_ms": _spread(pauses) | {"longest": round(max(pauses), 1) if pauses else None},
        "told_pause_ms": _spread(told),
        "lag_ms": _spread(lags),
        "moves": {
            "all": len(moves),
            "resumes": sum(move.is_resume for move in moves),
            "by_reason": _counts(move.reason for move in moves),
            "from_to": _counts(f"{move.from_region} -> {move.to_region}" for move in moves),
        },
        "orders": [order.as_figures() for order in findings.orders],
        "upgraded": list(findings.upgraded),
        "outside_policy": [] if findings.fence else outside_policy(records, drill.world.profiles),
        **({} if findings.fence is None else {"fence": findings.fence.as_figures()}),
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


def _spread(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"count": 0, "p50": None, "p99": None}
    return {
        "count": len(values),
        "p50": round(quantile_of(list(values), 0.5), 1),
        "p99": round(quantile_of(list(values), 0.99), 1),
    }


def _by_tier(records: Sequence[CallRecord]) -> dict[str, dict[str, int]]:
    """Only of callers that have one."""
    tiers = sorted({record.tier for record in records if record.tier})
    found = {}
    for tier in tiers:
        of_tier = [record for record in records if record.tier == tier]
        found[tier] = {"sessions": len(of_tier), "finished": sum(record.is_finished for record in of_tier)}
    return found


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
