"""Why one question is answered as it is: by which rules, on which rows; and what a permit lacks where none holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cedarpy

from policies.residency.bundles.rule_reading import read_rule
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.review.explain_facts import Fact, facts_of
from policies.residency.review.question_answers import only_rule
from policies.residency.review.rule_words import condition_words, conjuncts, in_words, scope_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rule_reading import RuleReading
    from policies.residency.bundles.rules import Rule
    from policies.residency.decision import Decision, Question

_EVERYTHING = {"op": "All"}
_MAX_NEAR = 3


@dataclass(frozen=True, slots=True)
class RuleTold:
    """A rule for people. `words`: what it says; `text`: the rule itself, which is what counts."""

    id: str
    words: str
    text: str
    file: str
    line: int
    owner: str
    basis: str
    ticket: str
    review_by: str
    kind: str


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A permit that does not hold, and what of it does not."""

    rule: RuleTold
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One answer and its reasons.

    Attributes:
        from_s, until_s: between them the answer is the same.
        deciding: rules that determine it.
        without: the answer if the forbids that determine it were not there; None where none does.
        near: permits that came nearest, where none holds.
        facts: rows that it rests on.
    """

    question: Question
    from_s: int
    until_s: int
    decision: Decision
    deciding: tuple[RuleTold, ...]
    without: Decision | None
    near: tuple[NearMiss, ...]
    facts: tuple[Fact, ...]


def explain(bundle: Bundle, question: Question, at_s: int) -> Explanation:
    """Ask, and ask again of each rule for itself."""
    few = _narrowed(bundle, question.situation.project)
    engine = ResidencyEngine(few, at_s)
    decision = engine.decide(question)
    lifted = None
    if not decision.is_allowed and decision.rules:
        lifted = ResidencyEngine(_without(few, decision.rules), at_s).decide(question)
    is_unpermitted = not decision.is_allowed and not (lifted or decision).rules and not decision.errors
    return Explanation(
        question=question,
        from_s=engine.from_s,
        until_s=engine.until_s,
        decision=decision,
        deciding=tuple(rule_told(bundle.rules[name]) for name in decision.rules if name in bundle.rules),
        without=lifted,
        near=_near(few, question, at_s) if is_unpermitted else (),
        facts=facts_of(bundle, engine, question),
    )


def rule_told(rule: Rule) -> RuleTold:
    said = rule.annotations
    return RuleTold(
        id=rule.id,
        words=in_words(read_rule(rule)),
        text=rule.text,
        file=rule.file,
        line=rule.line,
        owner=said.get("owner", ""),
        basis=said.get("basis", ""),
        ticket=said.get("ticket", ""),
        review_by=said.get("review_by", ""),
        kind=rule.kind,
    )


def _narrowed(bundle: Bundle, project: str) -> Bundle:
    """Without the rows of other projects."""
    return replace(bundle, projects={name: row for name, row in bundle.projects.items() if name == project})


def _without(bundle: Bundle, left_out: tuple[str, ...]) -> Bundle:
    kept = [rule for rule in bundle.rules.values() if rule.id not in left_out]
    return replace(
        bundle,
        rules={rule.id: rule for rule in kept},
        cedar_rules=cedarpy.PolicySet.from_str("\n".join(rule.text for rule in kept)),
        rule_ids={f"policy{number}": rule.id for number, rule in enumerate(kept)},
    )


def _near(bundle: Bundle, question: Question, at_s: int) -> tuple[NearMiss, ...]:
    """Permits of the caller's own profile and of the action first, then those that lack least."""
    found: list[tuple[tuple[bool, bool, int], NearMiss]] = []
    for rule in bundle.rules.values():
        if rule.effect != "permit":
            continue
        missing = [
            (slot, words)
            for slot, words, text in _parts(read_rule(rule))
            if not ResidencyEngine(only_rule(bundle, rule.id, text), at_s).decide(question).is_allowed
        ]
        near = NearMiss(rule_told(rule), tuple(words for _, words in missing))
        slots = {slot for slot, _ in missing}
        found.append((("principal" in slots, "action" in slots, len(missing)), near))
    least = min((distance for distance, _ in found), default=None)
    return tuple(near for distance, near in found if distance == least)[:_MAX_NEAR]


def _parts(rule: RuleReading) -> Iterator[tuple[str, str, str]]:
    """What must hold for a permit to hold, one by one: (what it is about, in words, as a rule of its own)."""
    heads = json.loads(rule.body)
    for slot, said in (("principal", "it is for"), ("action", "it is for"), ("resource", "it is for regions in")):
        scope = getattr(rule, slot)
        if not scope.is_everything:
            yield slot, f"{said} {scope_words(slot, scope)}", _as_rule({slot: heads[slot]})
    for kind, body in rule.conditions:
        for part in conjuncts(body) if kind == "when" else [body]:
            words = condition_words(part, negated=kind == "unless")
            yield kind, f"it holds when {words}", _as_rule({"conditions": [{"kind": kind, "body": part}]})


def _as_rule(parts: dict[str, Any]) -> str:
    heads = dict.fromkeys(("principal", "action", "resource"), _EVERYTHING)
    policy = {"effect": "permit", **heads, "conditions": [], **parts}
    return cedarpy.policies_from_json_str(
        json.dumps({"staticPolicies": {"p": policy}, "templates": {}, "templateLinks": []})
    )
