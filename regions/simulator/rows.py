"""The report's tables as rows of text, a column for each fleet: the terminal and the HTML page show the same."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DAY_HOURS = 24


class Rows(NamedTuple):
    """`head`: of the columns, the first being that of the names."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def fleet_rows(report: Mapping[str, Any]) -> Rows:
    """Give the fleets side by side."""
    fleets = report["fleets"]
    table: list[tuple[str, Callable[[Any], str]]] = [
        ("served, of session-seconds", lambda fleet: percent(fleet["served_permille"])),
        *(
            (f"  {tier}", lambda fleet, tier=tier: percent(fleet["by_tier"].get(tier)))
            for tier in dict.fromkeys(tier for fleet in fleets for tier in fleet["by_tier"])
        ),
        ("cost, of all reserved", lambda fleet: share(fleet["cost_permille"])),
        ("meets the target", lambda fleet: "yes" if fleet["meets_target"] else "no"),
        ("engine-hours reserved", lambda fleet: count(fleet["engine_hours"]["reserved"])),
        ("  on demand", lambda fleet: count(fleet["engine_hours"]["on_demand"])),
        ("  spot", lambda fleet: count(fleet["engine_hours"]["spot"])),
        ("sessions offered", lambda fleet: count(fleet["sessions"]["offered"])),
        ("  refused", lambda fleet: count(fleet["sessions"]["refused"])),
        ("  lost", lambda fleet: count(fleet["sessions"]["lost"])),
        ("  shed for a higher tier", lambda fleet: count(fleet["sessions"]["shed"])),
        ("engines lost under sessions", lambda fleet: count(fleet["sessions"]["displaced"])),
        ("  no slot at the first try", lambda fleet: count(fleet["sessions"]["displaced_without_slot"])),
        ("moved ahead, no gap", lambda fleet: count(fleet["sessions"]["moved_ahead"])),
        ("clients that called again", lambda fleet: count(fleet["sessions"]["reconnected"])),
        ("calls refused", lambda fleet: count(fleet["sessions"]["calls_refused"])),
        ("  while higher tiers had room", lambda fleet: count(fleet["sessions"]["calls_shed"])),
        ("placed in another region", lambda fleet: count(fleet["sessions"]["overflowed"])),
        ("outside the policy set", lambda fleet: count(fleet["sessions"]["outside_policy"])),
        ("pause p50", lambda fleet: pause(fleet["pause_ms"], "p50")),
        ("pause p99", lambda fleet: pause(fleet["pause_ms"], "p99")),
        ("worst region", _worst_region),
        ("worst moment", _worst_moment),
    ]
    return Rows(
        ("", *(fleet["fleet"] for fleet in fleets)),
        tuple((name, *(shown(fleet) for fleet in fleets)) for name, shown in table),
    )


def sweep_rows(report: Mapping[str, Any]) -> Rows | None:
    """Give what the fleets come to with each value of the sweep; None where there is none."""
    sweep = report.get("sweep")
    if sweep is None:
        return None
    names = dict.fromkeys(fleet["fleet"] for point in sweep["points"] for fleet in point["fleets"])
    rows = []
    for point in sweep["points"]:
        of = {fleet["fleet"]: fleet for fleet in point["fleets"]}
        cells = [
            f"{percent(of[name]['served_permille'])} at {share(of[name]['cost_permille'])}" if name in of else ""
            for name in names
        ]
        rows.append((str(point["value"]), *cells))
    return Rows((sweep["key"], *names), tuple(rows))


def percent(permille: float | None) -> str:
    """Three digits behind the point, cut off as those of the report are."""
    if permille is None:
        return "nobody"
    return f"{floor(permille * 100 + 1e-6) / 1_000:.3f} %"


def share(permille: float) -> str:
    return f"{permille / 10:.1f} %"


def count(number: float) -> str:
    return f"{round(number):,}"


def pause(of: Mapping[str, Any], which: str) -> str:
    return f"{round(of[which]):,} ms" if of["count"] else "none"


def clock(hours: float) -> str:
    """Give the time of day, UTC, and the day where it is not the first."""
    day, hour = divmod(hours, _DAY_HOURS)
    minutes = round(hour * 60)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    return f"day {int(day) + 1}, {text}" if day else text


def _worst_region(fleet: Mapping[str, Any]) -> str:
    worst = fleet["worst_region"]
    return f"{worst['region']} {percent(worst['served_permille'])}" if worst else "none"


def _worst_moment(fleet: Mapping[str, Any]) -> str:
    worst = fleet["worst_moment"]
    return f"{clock(worst['at_hours'])}: {percent(worst['served_permille'])}" if worst else "none"
