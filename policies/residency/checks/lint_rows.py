"""What is to be said of dated rows and of a bundle's own dates: what ends soon, what nobody approved. PURE."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from policies.residency.bundles.instants import text_of
from policies.residency.bundles.rows import JurisdictionRow, OperatorRow
from policies.residency.checks.lint_finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rows import RegionRow

    Row = JurisdictionRow | OperatorRow | RegionRow

NOBODY_YET = "nobody yet"
"""What `approved_by` says of a row that was drafted and that nobody has put his name to."""

TO_BE_FILLED_IN = "to be filled in"
"""What a draft says where it cannot know."""

_LEFT_OPEN = (
    ("contact", "Write whom to reach there."),
    ("basis", "Write the contract or statute that it stands on."),
)
WARN_DAYS = (7, 30, 90)
_DAY_S = 86_400
_MOST_NAMED = 6


def lint_rows(bundle: Bundle, *, now_s: int) -> Iterator[Finding]:
    """Findings about the bundle's term, then about rows, those with the same thing to say together."""
    yield from _bundle(bundle, now_s)
    for file, rows in (
        ("jurisdictions.toml", bundle.jurisdictions),
        ("operators.toml", bundle.operators),
        ("regions.toml", bundle.regions),
    ):
        yield from _dates(file, rows, now_s)
        yield from _approvals(file, rows, now_s)


def _bundle(bundle: Bundle, now_s: int) -> Iterator[Finding]:
    left_days = (bundle.expires_at_s - now_s) // _DAY_S
    if now_s >= bundle.expires_at_s:
        yield Finding(
            Severity.error, "bundle-expired", "bundle.toml",
            f"It expired at {text_of(bundle.expires_at_s)}: it permits nothing.",
            "Set `issued_at`, `expires_at` and `version` anew, and have it signed.",
        )  # fmt: skip
        return
    for days in WARN_DAYS:
        if left_days < days:
            yield Finding(
                Severity.warning, "bundle-expires-soon", "bundle.toml",
                f"It expires at {text_of(bundle.expires_at_s)}, within {days} days: from then on it permits nothing.",
                "Have the next version signed and in force before.",
            )  # fmt: skip
            return


def _dates(file: str, rows: Iterable[Row], now_s: int) -> Iterator[Finding]:
    gone: list[Row] = []
    ending: dict[tuple[int, int], list[Row]] = defaultdict(list)
    waiting: dict[int, list[Row]] = defaultdict(list)
    rows = list(rows)
    beginnings = {(_key(row), row.starts_at_s) for row in rows}
    for row in rows:
        if row.expires_at_s <= now_s:
            gone.append(row)
        elif not row.in_force_at(now_s):
            waiting[row.starts_at_s].append(row)
        elif (_key(row), row.expires_at_s) not in beginnings:  # of the same thing, as where an operator changes
            left_days = (row.expires_at_s - now_s) // _DAY_S
            days = next((days for days in WARN_DAYS if left_days < days), None)
            if days is not None:
                ending[days, row.expires_at_s].append(row)
    for (days, expires_at_s), found in sorted(ending.items()):
        yield Finding(
            Severity.warning, "row-expires", f"{file}, {_named(found)}",
            f"Ends at {text_of(expires_at_s)}, within {days} days: what it permitted is refused from then on.",
            "Check its source again and bring `expires_at` forward, or tell those whom it concerns.",
        )  # fmt: skip
    for starts_at_s, found in sorted(waiting.items()):
        yield Finding(
            Severity.note, "row-not-yet", f"{file}, {_named(found)}",
            f"Not in force before {text_of(starts_at_s)}.",
            "Nothing, if that is meant.",
        )  # fmt: skip
    if gone:
        yield Finding(
            Severity.note, "row-expired", f"{file}, {_named(gone)}",
            "Its time is over: it has no effect.",
            "Take it away, or set its dates anew if it holds again.",
        )  # fmt: skip


def _approvals(file: str, rows: Iterable[Row], now_s: int) -> Iterator[Finding]:
    rows = list(rows)
    unapproved = [row for row in rows if row.approved_by == NOBODY_YET]
    if unapproved:
        yield Finding(
            Severity.error, "row-not-approved", f"{file}, {_named(unapproved)}",
            f"Nobody approved it: `approved_by` is {NOBODY_YET!r}.",
            "Check it, then write who approved it, and when (`approved_at`).",
        )  # fmt: skip
    for field, advice in _LEFT_OPEN:
        empty = [row for row in rows if getattr(row, field, "").strip().lower() == TO_BE_FILLED_IN]
        if empty:
            yield Finding(
                Severity.error, "row-not-filled-in", f"{file}, {_named(empty)}",
                f"`{field}` is still {TO_BE_FILLED_IN!r}.",
                advice,
            )  # fmt: skip
    early = [row for row in rows if row.approved_at_s > now_s]
    if early:
        yield Finding(
            Severity.warning, "row-approved-later", f"{file}, {_named(early)}",
            "`approved_at` is in the future.",
            "Write the day on which it was approved.",
        )  # fmt: skip


def _key(row: Row) -> str:
    if isinstance(row, JurisdictionRow):
        return f"{row.regime} {row.code}" + ("" if row.scope == "all" else f" ({row.scope})")
    return row.operator if isinstance(row, OperatorRow) else row.region


def _named(rows: list[Row]) -> str:
    names = [_key(row) for row in rows[:_MOST_NAMED]]
    more = len(rows) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
