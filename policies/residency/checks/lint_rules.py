"""What Cedar's validator does not say of rules: permits for all, doubles, reviews due, laws that bend. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policies.residency.bundles.instants import seconds_of
from policies.residency.bundles.rule_reading import fact_name, read_rules
from policies.residency.checks.lint_finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rule_reading import RuleReading
    from policies.residency.bundles.rules import Rule

KNOWN_ANNOTATIONS = frozenset({"id", "owner", "basis", "review_by", "ticket", "kind", "running"})
_DAY_S = 86_400
_REVIEW_SOON_DAYS = 30
_BREAK_GLASS = "context.hasBreakGlass"


def lint_rules(bundle: Bundle, *, now_s: int) -> Iterator[Finding]:
    """Findings about each rule, in the order of their ids."""
    readings = read_rules(bundle.rules)
    operators = {row.operator for row in bundle.operators}
    for name in sorted(bundle.rules):
        rule, reading = bundle.rules[name], readings[name]
        yield from _scope(rule, reading)
        yield from _annotations(rule, reading)
        yield from _review(rule, now_s)
        yield from _texts(rule, reading, operators)
    yield from _doubles(bundle, readings)
    yield from _regimes(bundle, readings, now_s)
    yield from _profiles(bundle, readings)


def _place(rule: Rule) -> str:
    return f"{rule.file} line {rule.line}, {rule.id}"


def _scope(rule: Rule, reading: RuleReading) -> Iterator[Finding]:
    is_open = reading.principal.is_everything and reading.resource.is_everything and not reading.conditions
    if not is_open:
        return
    if rule.effect == "forbid":
        if reading.action.is_everything:
            yield Finding(
                Severity.warning, "rule-reads-nothing", _place(rule),
                "It forbids everything to everybody, whatever is asked.",
                "Say whom, where or when it forbids.",
            )  # fmt: skip
        return
    if reading.action.is_everything:
        yield Finding(
            Severity.error, "unconditional-permit", _place(rule),
            "It permits everything to everybody, everywhere.",
            "Name a profile, a jurisdiction and the actions that it is for.",
        )  # fmt: skip
        return
    yield Finding(
        Severity.error, "permit-without-scope", _place(rule),
        "It permits its actions to every profile in every region.",
        'Name a profile (`principal in Asr::Profile::"eea"`) or a place (`resource in Asr::Jurisdiction::"EEA"`).',
    )  # fmt: skip


def _annotations(rule: Rule, reading: RuleReading) -> Iterator[Finding]:
    unknown = sorted(set(rule.annotations) - KNOWN_ANNOTATIONS)
    if unknown:
        yield Finding(
            Severity.warning, "unknown-annotation", _place(rule),
            f"It has annotations that nothing reads: {', '.join('@' + name for name in unknown)}.",
            f"There are {', '.join('@' + name for name in sorted(KNOWN_ANNOTATIONS))}. Put anything else in a comment.",
        )  # fmt: skip
    if not rule.is_statutory:
        return
    if _BREAK_GLASS in reading.reads:
        yield Finding(
            Severity.error, "statutory-reads-break-glass", _place(rule),
            "It is the law (`@kind(\"statutory\")`), and an emergency permission would lift it.",
            "Take `context.hasBreakGlass` out of it, or say `@kind(\"operational\")` if it is not the law.",
        )  # fmt: skip
    if rule.effect == "permit":
        yield Finding(
            Severity.warning, "statutory-permit", _place(rule),
            "A permit is called statutory: a law may forbid, and what it permits a profile must still want.",
            "Say `@kind(\"profile\")`.",
        )  # fmt: skip


def _review(rule: Rule, now_s: int) -> Iterator[Finding]:
    review_by = rule.annotations["review_by"]
    left_days = (seconds_of(review_by, may_be_a_date=True) - now_s) // _DAY_S
    if left_days >= _REVIEW_SOON_DAYS:
        return
    owner = rule.annotations["owner"]
    is_overdue = left_days < 0
    yield Finding(
        Severity.warning, "review-overdue" if is_overdue else "review-soon", _place(rule),
        f"It {'was' if is_overdue else 'is'} to be reviewed by {review_by}.",
        f"Ask {owner} whether it still holds, and set `@review_by` anew.",
    )  # fmt: skip


def _texts(rule: Rule, reading: RuleReading, operators: Collection[str]) -> Iterator[Finding]:
    compared = sorted({pair for _, body in reading.conditions for pair in _compared_texts(body)})
    for fact, text in compared:
        advice = "Compare with an enumerated word, which the schema checks: a misspelt text is no mistake to Cedar."
        if fact == "resource.country":
            advice = "Name a jurisdiction instead, and list the country in jurisdictions.toml, with its dates."
        elif fact == "resource.operator":
            if text in operators:
                continue
            advice = "No row of operators.toml is about this operator: write its name exactly as it stands there."
        yield Finding(
            Severity.warning, "text-compared", _place(rule),
            f"It compares {fact} with the text {text!r}.", advice,
        )  # fmt: skip


def _compared_texts(node: Any) -> Iterator[tuple[str, str]]:
    """(fact, text) of each comparison of a fact with a literal text, anywhere in Cedar's JSON of an expression."""
    if isinstance(node, list):
        for each in node:
            yield from _compared_texts(each)
    if not isinstance(node, dict):
        return
    for operator, operands in node.items():
        if operator in ("==", "!=", "contains", "containsAny", "containsAll"):
            left, right = operands["left"], operands["right"]
            for one, other in ((left, right), (right, left)):
                fact = fact_name(one)
                if fact is not None:
                    yield from ((fact, text) for text in _literal_texts(other))
        if operator != "Value":
            yield from _compared_texts(list(operands.values()) if isinstance(operands, dict) else operands)


def _literal_texts(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if isinstance(node.get("Value"), str):
        yield node["Value"]
    elif isinstance(node.get("Set"), list):
        for each in node["Set"]:
            yield from _literal_texts(each)


def _doubles(bundle: Bundle, readings: Mapping[str, RuleReading]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name in sorted(bundle.rules):
        other = first.setdefault(readings[name].body, name)
        if other != name:
            yield Finding(
                Severity.error, "duplicate-rule", _place(bundle.rules[name]),
                f"It says the same as {other}.",
                "Take one of them away: whoever changes one will forget the other.",
            )  # fmt: skip


def _regimes(bundle: Bundle, readings: Mapping[str, RuleReading], now_s: int) -> Iterator[Finding]:
    in_force = {row.regime for row in bundle.jurisdictions if row.in_force_at(now_s)}
    mentioned: set[str] = set()
    for name in sorted(bundle.rules):
        regimes = {entity.id for entity in readings[name].mentions if entity.kind == "Jurisdiction"}
        mentioned |= regimes
        for regime in sorted(regimes - in_force):
            yield Finding(
                Severity.warning, "jurisdiction-without-rows", _place(bundle.rules[name]),
                f"It speaks of {regime}, to which no country belongs today.",
                "Add rows to jurisdictions.toml, or take the rule away.",
            )  # fmt: skip
    for regime in sorted({row.regime for row in bundle.jurisdictions} - mentioned):
        yield Finding(
            Severity.warning, "jurisdiction-not-read", "jurisdictions.toml",
            f"No rule speaks of {regime}: its rows have no effect.",
            "Write the rule that needs them, or take them away.",
        )  # fmt: skip


def _profiles(bundle: Bundle, readings: Mapping[str, RuleReading]) -> Iterator[Finding]:
    named: set[str] = set()
    for reading in readings.values():
        if reading.effect != "permit":
            continue
        if reading.principal.is_everything and not any(fact == "principal" for fact in reading.reads):
            continue  # usage numbers and the like: for everybody, and no profile's home
        named |= {entity.id for entity in reading.mentions if entity.kind == "Profile"}
    for profile in sorted(set(bundle.profiles) - named):
        yield Finding(
            Severity.error, "profile-without-permit", f"profiles.toml, {profile}",
            "No rule permits it anything: all its sessions are refused.",
            "Write a permit for it in rules/, or take the profile away.",
        )  # fmt: skip
