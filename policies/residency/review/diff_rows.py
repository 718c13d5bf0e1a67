"""What is written differently in two bundles: rules, rows, profiles, projects. Nobody asks here whether it matters."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from policies.residency.bundles.instants import FAR_S, text_of
from policies.residency.bundles.rule_reading import read_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rules import Rule

_PLACES = frozenset({"where"})
"""Where a row stands in its file is no difference."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is written differently.

    Attributes:
        sort: what it is: `rule`, `region`, `jurisdiction`, `operator`, `profile`, `project`, `bundle`, `schema`.
        change: `added`, `removed` or `changed`.
        details: (what, before, after); of what is added or removed, only one side is said.
    """

    sort: str
    change: str
    name: str
    details: tuple[tuple[str, str, str], ...] = ()


def differences(before: Bundle, after: Bundle) -> tuple[Difference, ...]:
    """All of them, in the order of a bundle's files."""
    return tuple(_differences(before, after))


def _differences(before: Bundle, after: Bundle) -> Iterator[Difference]:
    told = [
        (what, str(getattr(before, what)), str(getattr(after, what)))
        for what in ("name", "version")
        if getattr(before, what) != getattr(after, what)
    ]
    told += [
        (what.removesuffix("_s"), date_of(getattr(before, what)), date_of(getattr(after, what)))
        for what in ("issued_at_s", "expires_at_s")
        if getattr(before, what) != getattr(after, what)
    ]
    if told:
        yield Difference("bundle", "changed", after.name, tuple(told))
    if before.schema_digest != after.schema_digest:
        yield Difference("schema", "changed", "schema.cedarschema")
    yield from _rules(before.rules, after.rules)
    yield from _rows("profile", before.profiles, after.profiles)
    yield from _rows("project", before.projects, after.projects)
    for sort, key in _DATED:
        yield from _rows(sort, _keyed(before, sort, key), _keyed(after, sort, key))


def date_of(at_s: int | None) -> str:
    """For people: `never` where it is as far as can be."""
    if at_s is None:
        return "not said"
    return "never" if at_s >= FAR_S else text_of(at_s)


_DATED: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("jurisdiction", lambda row: f"{row.regime} {row.code}" + ("" if row.scope == "all" else f" ({row.scope} only)")),
    ("operator", lambda row: row.operator),
    ("region", lambda row: row.region),
)


def _keyed(bundle: Bundle, sort: str, key: Callable[[Any], str]) -> dict[str, Any]:
    """By name; a name's second row is named by its first day too."""
    found: dict[str, Any] = {}
    for row in sorted(getattr(bundle, f"{sort}s"), key=lambda row: (key(row), row.effective_from_s)):
        name = key(row)
        found[name if name not in found else f"{name}, from {date_of(row.effective_from_s)}"] = row
    return found


def _rules(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            rule = new or old
            assert rule is not None
            sides = ("", rule.text) if old is None else (rule.text, "")
            yield Difference("rule", "added" if old is None else "removed", name, (("text", *sides),))
            continue
        told = []
        if read_rule(old).body != read_rule(new).body:
            told.append(("text", old.text, new.text))
        said = sorted({*old.annotations, *new.annotations})
        told += [
            (f"@{key}", old.annotations.get(key, ""), new.annotations.get(key, ""))
            for key in said
            if old.annotations.get(key) != new.annotations.get(key)
        ]
        if told:
            yield Difference("rule", "changed", name, tuple(told))


def _rows(sort: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            yield Difference(sort, "added", name, tuple((what, "", text) for what, text in _told(new)))
        elif new is None:
            yield Difference(sort, "removed", name, tuple((what, text, "") for what, text in _told(old)))
        else:
            pairs = zip(_told(old, every=True), _told(new, every=True), strict=True)
            told = tuple((what, was, becomes) for (what, was), (_, becomes) in pairs if was != becomes)
            if told:
                yield Difference(sort, "changed", name, told)


def _told(row: Any, *, every: bool = False) -> list[tuple[str, str]]:
    """Fields in words; without `every`, those alone that say something."""
    told = [
        (field.name.removesuffix("_s"), _shown(field.name, getattr(row, field.name)))
        for field in fields(row)
        if field.name not in _PLACES
    ]
    return told if every else [(what, text) for what, text in told if text]


def _shown(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_s"):
            return date_of(value)
        case frozenset():
            return ", ".join(sorted(value)) or "none"
        case _ if hasattr(value, "region") and hasattr(value, "days"):
            return f"{value.region}, {value.days} days"
        case _:
            return str(value)
