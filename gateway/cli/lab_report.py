"""The report of a drill for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console


def show_report(report: dict[str, Any], console: Console) -> None:
    """What it came to, then each criterion, then the verdict."""
    console.print(f"[bold]{report['drill']}[/], seed {report['seed']}, {report['elapsed_s']} s", highlight=False)
    table = Table(show_header=False, box=None)
    for name, text in _rows(report):
        table.add_row(name, text)
    console.print(table)
    verdicts = Table("", "measured", "bound", box=None)
    for criterion in report["criteria"]:
        mark = "[green]met[/]" if criterion["met"] else "[red]not met[/]"
        measured = "nothing to measure" if criterion["measured"] is None else f"{criterion['measured']:g}"
        verdicts.add_row(f"{mark} {criterion['name']}", measured, f"{criterion['bound']:g}")
    console.print(verdicts)
    for failure in report["not_restarted"]:
        console.print(f"not started again: {failure}", highlight=False, markup=False)
    console.print("[bold green]passed" if report["passed"] else "[bold red]failed")


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    sessions, words, moves = report["sessions"], report["words"], report["moves"]
    floor = report["stall_floor_ms"]
    orders = [
        f"{order['act']} {order['target']}: {order['outcome'] or 'not taken'}, done within {order['done_within_s']} s"
        for order in report["orders"]
    ]
    rows = [
        ("sessions", f"{sessions['finished']} of {sessions['held']} finished, {sessions['not_served']} not served"),
        ("spoke last", f"{_counts(sessions['by_last_protocol'])}; {sessions['fell_back']} fell back"),
        ("refusals", _counts(sessions["refusals"])),
        ("failures", _counts(sessions["failed"])),
        ("told", f"{_counts(sessions['told'])}; {len(sessions['untold'])} without a reason or a time to wait"),
        ("faults", _counts(report["faults"]["by_kind"])),
        ("words", f"{words['undisturbed']} undisturbed, {words['changed']} changed"),
        ("lost", f"{words['lost_by_position']} by position, {words['lost_by_text']} by text"),
        ("doubled", f"{words['doubled_by_position']} by position, {words['doubled_by_text']} by text"),
        ("pause", _spread(report["pause_ms"])),
        ("pause as told", _spread(report["told_pause_ms"])),
        ("lag", _spread(report["lag_ms"])),
        ("moves", f"{moves['all']}, of them resumes {moves['resumes']}; {_counts(moves['by_reason'])}"),
        ("from, to", _counts(moves["from_to"])),
        ("outside the policy set", "; ".join(report["outside_policy"]) or "nobody"),
        *_fence(report.get("fence")),
    ]
    if sessions["by_tier"]:
        tiers = [f"{tier} {of['finished']} of {of['sessions']}" for tier, of in sessions["by_tier"].items()]
        rows.append(("finished, by tier", f"{', '.join(tiers)}; {sessions['shed']} shed"))
    if orders:
        rows.append(("orders", "\n".join(orders)))
    if report["upgraded"]:
        rows.append(("upgraded", ", ".join(report["upgraded"])))
    full = [f"{name} {of['most_used']}/{of['slots']}" for name, of in report["engines"].items()]
    rows.append(("most streams", ", ".join(full)))
    if floor:
        rows.append(("this machine stalls", f"p50 {floor['p50_ms']} ms, p99 {floor['p99_ms']} ms"))
    rows.append(("links add", f"p99 {report['relay_added_ms']['p99_ms']} ms"))
    return rows


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _spread(values: dict[str, Any]) -> str:
    if not values["count"]:
        return "none"
    longest = f", longest {values['longest']} ms" if "longest" in values else ""
    return f"p50 {values['p50']} ms, p99 {values['p99']} ms{longest} of {values['count']}"


def _fence(fence: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Of a world whose policy is a bundle."""
    if fence is None:
        return []
    told = "; ".join(fence["outside"]) or "nothing"
    seen = f"{fence['pieces_of_audio']} pieces of audio, {fence['decisions_on_record']} decisions on record"
    late = f"{fence['longest_after_change_s']} s after a change at most"
    return [("outside the fence", f"{told} ({seen}; {late})")]
