"""What a comparison of two bundles comes to: a document to sign, lines for a spreadsheet, JSON."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from gateway.cli.policy.document import Document, Heading, Paragraph, Table, Verbatim
from gateway.cli.policy.formats import csv_text
from gateway.cli.policy.words import (
    bundle_json,
    date,
    decision_json,
    decision_words,
    periods_words,
    question_json,
    question_words,
    values_words,
)
from policies.residency.bundles.rule_reading import read_rule
from policies.residency.review.diff_groups import grouped
from policies.residency.review.diff_rows import differences
from policies.residency.review.question_space import DIMENSIONS
from policies.residency.review.rule_words import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.review.diff import Changed, Comparison
    from policies.residency.review.diff_groups import Group
    from policies.residency.review.diff_rows import Difference

_WIDER, _NARROWER = "newly ALLOWED", "no longer allowed"
_LONG = 120
"""Characters of a row's detail that a report shows."""


def diff_document(found: Comparison, *, has_reasons: bool = False) -> Document:
    """For people who sign."""
    before, after = found.before, found.after
    return Document(
        f"What changes from {before.name} {before.version} to {after.name} {after.version}",
        (
            Paragraph(summary(found)),
            Table(
                ("", "version", "digest", "expires"),
                tuple(
                    (side, f"{bundle.name} {bundle.version}", bundle.digest, date(bundle.expires_at_s))
                    for side, bundle in (("before", before), ("after", after))
                ),
            ),
            *_changed_blocks(found),
            *_same_blocks(found, has_reasons=has_reasons),
            *_written_blocks(found),
            Heading("Signed"),
            Table(("name", "date", "signature"), (("", "", ""), ("", "", ""))),
        ),
    )


def summary(found: Comparison) -> str:
    """In a sentence or three."""
    begins_s, ends_s = found.intervals[0][0], found.intervals[-1][1]
    asked = f"of {found.decisions:,} decisions at each instant {periods_words([(begins_s, ends_s)])}"
    if not found.changed:
        return f"No decision changes, {asked}."
    count = found.newly_allowed + found.no_longer_allowed
    return (
        f"{count:,} decision{'s' if count != 1 else ''} change{'s' if count == 1 else ''}, {asked}: "
        f"{found.newly_allowed:,} newly allowed, {found.no_longer_allowed:,} no longer allowed."
    )


def _changed_blocks(found: Comparison) -> Iterator[Heading | Paragraph | Table]:
    for heading, is_wider in ((_WIDER, True), (_NARROWER, False)):
        groups = grouped(line for line in found.changed if line.is_wider is is_wider)
        if not groups:
            continue
        yield Heading(f"{heading}: {sum(group.count for group in groups):,}")
        yield _table(groups, found)
        yield Paragraph("One example of each, to try with `patchbay policy explain`:")
        yield Table(
            ("", "example", "at", "before", "after"),
            tuple(
                (
                    str(number),
                    question_words(group.example),
                    date(group.example_at_s),
                    decision_words(group.before),
                    decision_words(group.after),
                )
                for number, group in enumerate(groups, 1)
            ),
        )


def _table(groups: tuple[Group, ...], found: Comparison) -> Table:
    return Table(
        ("", "profile", "who", "action", "regions", "where", "when", "decisions"),
        tuple(
            (
                str(number),
                group.profile,
                ", ".join(group.callers),
                ", ".join(group.actions),
                ", ".join(group.regions),
                values_words(group.values, found.every) or "always",
                periods_words(group.periods),
                f"{group.count:,}",
            )
            for number, group in enumerate(groups, 1)
        ),
    )


def _same_blocks(found: Comparison, *, has_reasons: bool) -> Iterator[Heading | Paragraph | Table]:
    if not found.same_answer:
        return
    count = sum(line.count for line in found.same_answer)
    yield Heading(f"The same answer, from other rules: {count:,}")
    if not has_reasons:
        yield Paragraph("These decisions do not change. `--reasons` lists them.")
        return
    groups = grouped(found.same_answer)
    yield Table(
        ("profile", "who", "action", "regions", "before", "after", "decisions"),
        tuple(
            (
                group.profile,
                ", ".join(group.callers),
                ", ".join(group.actions),
                ", ".join(group.regions),
                decision_words(group.before),
                decision_words(group.after),
                f"{group.count:,}",
            )
            for group in groups
        ),
    )


def _written_blocks(found: Comparison) -> Iterator[Heading | Paragraph | Table | Verbatim]:
    """What is written differently: in words, and of rules that change, line by line."""
    told = differences(found.before, found.after)
    if not told:
        return
    yield Heading("What is written differently")
    yield Table(
        ("what", "name", "", "before", "after"),
        tuple(row for difference in told for row in _difference_rows(difference, found.before, found.after)),
    )
    for difference in told:
        for what, before, after in difference.details:
            if difference.sort == "rule" and what == "text" and before and after:
                yield Paragraph(f"{difference.name}, line by line:")
                yield Verbatim("\n".join([*unified_diff(before.splitlines(), after.splitlines(), lineterm="")][3:]))


def _difference_rows(difference: Difference, before: Bundle, after: Bundle) -> Iterator[tuple[str, ...]]:
    head = (difference.sort, difference.name)
    if difference.sort == "rule" and any(what == "text" for what, _, _ in difference.details):
        sides = (_rule_words(bundle, difference.name) for bundle in (before, after))
        yield (*head, difference.change, *sides)
    elif difference.change != "changed":
        said = "; ".join(f"{what} {old or new}" for what, old, new in difference.details)
        sides_of = (said, "") if difference.change == "removed" else ("", said)
        yield (*head, difference.change, *sides_of)
        return
    elif not difference.details:
        yield (*head, difference.change, "", "")
    for what, old, new in difference.details:
        if what != "text":
            yield (*head, what, _short(old), _short(new))


def _rule_words(bundle: Bundle, rule_id: str) -> str:
    rule = bundle.rules.get(rule_id)
    return "" if rule is None else in_words(read_rule(rule))


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def diff_csv(found: Comparison) -> str:
    """One line for each set of decisions that change alike; all values of all facts are named."""
    columns = ("change", "profile", "who", "actions", "regions", *DIMENSIONS, "periods", "decisions", "before", "after")
    rows = tuple(
        (
            _WIDER if line.is_wider else _NARROWER,
            line.who.profile,
            line.who.name,
            ", ".join(sorted(line.actions)),
            ", ".join(sorted(line.regions)),
            *(
                "any" if line.values[name] >= found.every[name] else ", ".join(sorted(line.values[name]))
                for name in DIMENSIONS
            ),
            periods_words(line.periods),
            str(line.count),
            decision_words(line.before),
            decision_words(line.after),
        )
        for line in found.changed
    )
    return csv_text(Table(columns, rows))


def diff_json(found: Comparison) -> dict[str, Any]:
    return {
        "before": bundle_json(found.before),
        "after": bundle_json(found.after),
        "decisions": found.decisions,
        "newly_allowed": found.newly_allowed,
        "no_longer_allowed": found.no_longer_allowed,
        "groups": [_group_json(group) for group in grouped(found.changed)],
        "same_answer": [_group_json(group) for group in grouped(found.same_answer)],
        "written": [
            {
                "what": difference.sort,
                "name": difference.name,
                "change": difference.change,
                "details": [
                    {"what": what, "before": before, "after": after} for what, before, after in difference.details
                ],
            }
            for difference in differences(found.before, found.after)
        ],
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "profile": group.profile,
        "callers": list(group.callers),
        "actions": list(group.actions),
        "regions": list(group.regions),
        "before": decision_json(group.before),
        "after": decision_json(group.after),
        "decisions": group.count,
        "example": question_json(group.example) | {"at_s": group.example_at_s},
        "lines": [_line_json(line) for line in group.lines],
    }


def _line_json(line: Changed) -> dict[str, Any]:
    return {
        "who": line.who.name,
        "projects": list(line.who.projects),
        "regions": sorted(line.regions),
        "values": {name: sorted(line.values[name]) for name in DIMENSIONS},
        "periods_s": [list(period) for period in line.periods],
        "decisions": line.count,
    }
