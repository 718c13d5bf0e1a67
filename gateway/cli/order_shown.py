"""Orders, their progress and their dry runs, in words and tables for somebody who was woken up."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PARTS = {"rtt": "round trip", "rtt_prior": "round trip", "queueing": "queueing", "spot": "spot", "cost": "cost"}
_STUCK = {
    "no_permitted_region": "their policy permits no other region",
    "no_free_slot": "no free slot elsewhere",
    "no_permitted_capacity": "no free machine elsewhere that their policy permits",
    "unreachable": "the other places are out of reach",
    "stale_facts": "nothing is heard of the other places",
    "tripped": "the other places are ill",
    "draining": "the other places drain too",
    "disabled": "the other places are disabled",
    "unknown_model": "no other place has their model",
    "unsupported_language": "no other place speaks their language",
    "failed_this_session": "they lost an engine there a moment ago",
}


def target_name(order: dict[str, Any]) -> str:
    """What people call it."""
    target = order["target"]
    return str(target["region"] if target["scope"] == "region" else target["name"])


def state_words(order: dict[str, Any]) -> str:
    """Such as `draining`, `drain pending: needs a second person`."""
    verb = {"drain": "draining", "disable": "disabled"}[order["kind"]]
    match order["state"]:
        case "pending":
            return f"{order['kind']} waits for a second person"
        case "stopped":
            return f"{order['kind']} stopped: nothing new, nobody moves"
        case _:
            return verb


def progress_line(progress: dict[str, Any] | None) -> str:
    """One line; what is nought is left out."""
    if progress is None:
        return "no gateway has said anything yet"
    if progress["total"] == 0:
        return "nobody is there" if progress["gateways"] else "no gateway has said anything yet"
    said = [f"{progress['left']} of {progress['total']} left"]
    said += [
        f"{progress[field]} {words}"
        for field, words in (
            ("moved", "moved"),
            ("ended", "ended by themselves"),
            ("peers_gone", "of other regions gone"),
            ("moving", "on their way"),
            ("waiting", "waiting for their turn"),
        )
        if progress[field]
    ]
    if stuck := sum(progress["stuck"].values()):
        said.append(f"{stuck} stuck")
    return ", ".join(said)


def stuck_lines(progress: dict[str, Any] | None) -> list[str]:
    """Why those that have nowhere to go have not."""
    stuck = {} if progress is None else progress["stuck"]
    return [f"  {count} stuck: {_STUCK.get(why, why.replace('_', ' '))}" for why, count in sorted(stuck.items())]


def instant(at_unix_ms: int) -> str:
    return datetime.datetime.fromtimestamp(at_unix_ms / 1_000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def find_order(orders: list[dict[str, Any]], scope: str, region: str, name: str) -> dict[str, Any] | None:
    """The one about a region, pool or engine."""
    wanted = {"scope": scope, "region": region, "name": "" if scope == "region" else name}
    return next((order for order in orders if order["target"] == wanted), None)


class _PlainTable(Table):
    """Its cells are text, whatever they look like: reasons, names of people and addresses may hold brackets."""

    def add_row(self, *cells: RenderableType | None, **how: Any) -> None:
        super().add_row(*(escape(cell) if isinstance(cell, str) else cell for cell in cells), **how)


def narrow_table(*columns: str) -> Table:
    """What does not fit goes on below instead of being cut off. Nothing in it is read as markup."""
    table = _PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(escape(name), overflow="fold")
    return table


def show_plan(console: Console, plan: dict[str, Any]) -> None:
    """A dry run: what would happen, then why, then what is missing."""
    target = target_name(plan)
    console.print(_headline(plan, target), soft_wrap=True, markup=False)
    if plan["rows"]:
        console.print(_rows(plan["rows"]))
    if plan["shortfalls"]:
        console.print("\nWithout a place:", markup=False)
        console.print(_shortfalls(plan["shortfalls"]))
    if plan["policy_sets"]:
        console.print("\nRoom inside each policy set:", markup=False)
        console.print(_sets(plan["policy_sets"]))
    for line in _notes(plan):
        console.print(line, soft_wrap=True, markup=False)


def _headline(plan: dict[str, Any], target: str) -> str:
    sessions, short = plan["sessions"], plan["sessions_short"]
    verb = plan["kind"]
    if sessions == 0 and plan["is_complete"]:
        return f"To {verb} {target} would move nobody: no session of this region is there."
    if short == 0:
        whom = "all" if plan["is_complete"] else "those that are known"
        return f"To {verb} {target} would move {counted(sessions, 'session')}, and there is room for {whom}."
    return f"To {verb} {target} would move {counted(sessions, 'session')}, and {short} of them would find NO PLACE."


def _rows(rows: list[dict[str, Any]]) -> Table:
    table = narrow_table("sessions", "to", "why", "tier", "permitted", "model")
    for row in rows:
        why = f"stays: {_parts(row)}" if row["kept_current"] or row["to"] == row["from"] else _parts(row)
        table.add_row(str(row["count"]), row["to"], why, row["tier"], " ".join(row["permitted"]), _model(row))
    return table


def _parts(row: dict[str, Any]) -> str:
    parts = " + ".join(f"{_PARTS.get(name, name)} {value:g}" for name, value in row["parts_ms"].items() if value)
    return f"{row['score_ms']:g} ms = {parts or '0'}; {row['free_slots']} free"


def _shortfalls(rows: list[dict[str, Any]]) -> Table:
    table = narrow_table("sessions", "tier", "model", "why not")
    for row in rows:
        why = "\n".join(f"{name}: {reason.replace('_', ' ')}" for name, reason in row["ruled_out"].items())
        table.add_row(str(row["count"]), row["tier"], _model(row), why)
    return table


def _sets(rows: list[dict[str, Any]]) -> Table:
    table = narrow_table("policy set", "needed", "free", "suffices")
    for row in rows:
        suffices = "yes" if row["suffices"] else f"NO: {row['slots_short']} short"
        table.add_row(" ".join(row["permitted"]), str(row["slots_needed"]), str(row["slots_free"]), suffices)
    return table


def _notes(plan: dict[str, Any]) -> list[str]:
    notes = []
    if plan["needs_second_person_for"]:
        what = ", ".join(plan["needs_second_person_for"])
        notes.append(f"It would leave {what} without a region: a second person would have to confirm it.")
    if others := plan["sessions_of_other_regions"]:
        notes.append(f"{counted(others, 'session')} of other regions' gateways there are moved by those gateways.")
    if plan["gateways_silent"]:
        silent = ", ".join(plan["gateways_silent"])
        notes.append(f"WARNING: {silent} did not say which sessions they have; theirs are not in this plan.")
    elif not plan["is_complete"]:
        notes.append("WARNING: not all sessions of this region are known now; those that are not are not in this plan.")
    if plan["moving_s_at_pace"]:
        notes.append(f"At that pace it takes at least {plan['moving_s_at_pace']} s.")
    notes.append(f"Nothing was changed. Facts are {plan['snapshot_age_ms']} ms old.")
    return notes


def _model(row: dict[str, Any]) -> str:
    return " ".join(word for word in (row["model"] or "any", row["version"], row["language"]) if word)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def order_rows(order: dict[str, Any]) -> list[tuple[str, str]]:
    """What `show` says of an order."""
    rows = [
        ("order", f"{order['id']}: {state_words(order)}"),
        ("why", order["reason"]),
        ("given by", f"{order['given_by']}, {instant(order['given_at_unix_ms'])}"),
    ]
    if order["confirmed_by"]:
        rows.append(("confirmed by", order["confirmed_by"]))
    pace = f"{counted(order['pace_per_s'], 'session')} a second" if order["pace_per_s"] else "as fast as it goes"
    rows.append(("pace", f"{pace}, within {order['within_ms'] / 1_000:g} s"))
    if order["state"] != "pending":
        rows.append(("progress", "\n".join([progress_line(order["progress"]), *stuck_lines(order["progress"])])))
    return rows
