"""A second evaluator of Cedar rules, in plain Python: slow reading, no cleverness, nothing shared with the engine.

Cedar itself parses the text to its JSON form; what the JSON means is worked out here, after the language's own pages
(docs.cedarpolicy.com/policies/syntax-operators.html and json-format.html). Of the operators, those are here that a rule
about residency may use; another one is refused when the rule is read, so nothing is passed over in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import cedarpy


class EvaluationFailed(Exception):
    """The rule cannot be worked out for this question. Cedar skips it then."""


class Uid(NamedTuple):
    """Of an entity, or a constant of an enumerated type."""

    type: str
    id: str


class Instant(NamedTuple):
    ms: int


@dataclass(frozen=True)
class Entity:
    attributes: Mapping[str, object]
    ancestors: frozenset[Uid] = frozenset()
    """All of them, not only the nearest."""


@dataclass(frozen=True)
class Asked:
    """What a rule is worked out for."""

    principal: Uid
    action: Uid
    resource: Uid
    context: Mapping[str, object]
    entities: Mapping[Uid, Entity]


Expression = Callable[[Asked], object]


@dataclass(frozen=True)
class PlainRule:
    id: str
    is_permit: bool
    scope: tuple[Callable[[Asked], bool], ...]
    conditions: tuple[Expression, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def matches(self, asked: Asked) -> bool:
        """Raises EvaluationFailed where Cedar reports an error."""
        if not all(holds(asked) for holds in self.scope):
            return False
        return all(_boolean(condition(asked)) for condition in self.conditions)


def read_rules(text: str) -> list[PlainRule]:
    rules = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
    return [_rule(rule) for rule in rules.values()]


def outcome(rules: list[PlainRule], asked: Asked) -> tuple[bool, tuple[str, ...], bool]:
    """Whether Cedar allows it, the ids of the rules that determined that, and whether any rule failed."""
    permits, forbids, has_errors = [], [], False
    for rule in rules:
        try:
            if rule.matches(asked):
                (permits if rule.is_permit else forbids).append(rule.id)
        except EvaluationFailed:
            has_errors = True
    is_allowed = bool(permits) and not forbids
    return is_allowed, tuple(sorted(permits if is_allowed else forbids)), has_errors


# --- reading ------------------------------------------------------------------------------------------------------


def _rule(rule: Mapping[str, Any]) -> PlainRule:
    conditions = []
    for condition in rule["conditions"]:
        body = _expression(condition["body"])
        conditions.append(body if condition["kind"] == "when" else _not(body))
    annotations = rule.get("annotations", {})
    return PlainRule(
        id=annotations["id"],
        is_permit=rule["effect"] == "permit",
        scope=tuple(_scope(rule[part], _variable(part)) for part in ("principal", "action", "resource")),
        conditions=tuple(conditions),
        annotations=annotations,
    )


def _scope(scope: Mapping[str, Any], variable: Expression) -> Callable[[Asked], bool]:
    operator = scope["op"]
    if operator == "All":
        return lambda _asked: True
    if operator == "==":
        wanted = _uid(scope["entity"])
        return lambda asked: variable(asked) == wanted
    if operator == "in":
        among = frozenset(_uid(entity) for entity in scope.get("entities", [scope.get("entity")]))
        return lambda asked: _is_in(asked, _entity(variable(asked)), among)
    if operator == "is":
        wanted_type = scope["entity_type"]
        within = frozenset({_uid(scope["in"]["entity"])}) if "in" in scope else None
        return lambda asked: (
            _entity(variable(asked)).type == wanted_type
            and (within is None or _is_in(asked, _entity(variable(asked)), within))
        )
    raise ValueError(f"a scope with {operator!r} is not known here")


def _expression(node: Mapping[str, Any]) -> Expression:
    ((operator, parts),) = node.items()
    match operator:
        case "Value":
            constant = _constant(parts)
            return lambda _asked: constant
        case "Var":
            return _variable(parts)
        case "datetime":
            instant = Instant(_milliseconds(parts[0]["Value"]))
            return lambda _asked: instant
        case "Set":
            members = [_expression(member) for member in parts]
            return lambda asked: frozenset(member(asked) for member in members)
        case "!":
            return _not(_expression(parts["arg"]))
        case "isEmpty":
            argument = _expression(parts["arg"])
            return lambda asked: not _set(argument(asked))
        case "." | "has":
            return _attribute(operator, _expression(parts["left"]), parts["attr"])
        case "is":
            return _is(parts)
        case "like":
            return _like(_expression(parts["left"]), parts["pattern"])
        case "if-then-else":
            return _choice(*(_expression(parts[part]) for part in ("if", "then", "else")))
        case "&&" | "||":
            return _both_or_either(operator, _expression(parts["left"]), _expression(parts["right"]))
        case _ if operator in _OF_TWO:
            return _of_two(_OF_TWO[operator], _expression(parts["left"]), _expression(parts["right"]))
    raise ValueError(f"the operator {operator!r} is not known here")


def _constant(value: object) -> object:
    if isinstance(value, dict):
        return _uid(value["__entity"])
    if isinstance(value, bool | int | str):
        return value
    raise ValueError(f"a constant of another kind: {value!r}")


def _uid(entity: Mapping[str, str]) -> Uid:
    return Uid(entity["type"], entity["id"])


def _milliseconds(text: str) -> int:
    """Raises ValueError."""
    matched = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(\.\d{3})?(Z|[+-]\d{4}))?", text)
    if matched is None:
        raise ValueError(f"no instant: {text!r}")
    day, clock, fraction, zone = matched.groups()
    if clock is None:
        clock, zone = "00:00:00", "Z"
    whole = datetime.strptime(f"{day}T{clock}{'+0000' if zone == 'Z' else zone}", "%Y-%m-%dT%H:%M:%S%z")
    return int(whole.astimezone(UTC).timestamp()) * 1_000 + round(float(fraction or "0") * 1_000)


# --- meaning ------------------------------------------------------------------------------------------------------


def _variable(name: str) -> Expression:
    match name:
        case "principal":
            return lambda asked: asked.principal
        case "action":
            return lambda asked: asked.action
        case "resource":
            return lambda asked: asked.resource
        case "context":
            return lambda asked: asked.context
    raise ValueError(f"no variable {name!r}")


def _not(argument: Expression) -> Expression:
    return lambda asked: not _boolean(argument(asked))


def _both_or_either(operator: str, left: Expression, right: Expression) -> Expression:
    if operator == "&&":
        return lambda asked: _boolean(left(asked)) and _boolean(right(asked))
    return lambda asked: _boolean(left(asked)) or _boolean(right(asked))


def _choice(condition: Expression, then: Expression, otherwise: Expression) -> Expression:
    return lambda asked: then(asked) if _boolean(condition(asked)) else otherwise(asked)


def _attribute(operator: str, left: Expression, name: str) -> Expression:
    def attributes(asked: Asked) -> Mapping[str, object] | None:
        of = left(asked)
        if isinstance(of, Uid):
            entity = asked.entities.get(of)
            return None if entity is None else entity.attributes
        if isinstance(of, Mapping):
            return of
        raise EvaluationFailed("only records and entities have attributes")

    def value(asked: Asked) -> object:
        found = attributes(asked)
        if found is None or name not in found:
            raise EvaluationFailed(f"no attribute {name}")
        return found[name]

    if operator == ".":
        return value
    return lambda asked: name in (attributes(asked) or {})


def _is(parts: Mapping[str, Any]) -> Expression:
    left, wanted = _expression(parts["left"]), parts["entity_type"]
    within = _expression(parts["in"]) if "in" in parts else None

    def holds(asked: Asked) -> bool:
        entity = _entity(left(asked))
        return entity.type == wanted and (within is None or _in(asked, entity, within(asked)))

    return holds


def _like(left: Expression, pattern: list[Any]) -> Expression:
    written = "".join(".*" if piece == "Wildcard" else re.escape(piece["Literal"]) for piece in pattern)
    compiled = re.compile(written, re.DOTALL)

    def holds(asked: Asked) -> bool:
        text = left(asked)
        if not isinstance(text, str):
            raise EvaluationFailed("only strings are like a pattern")
        return compiled.fullmatch(text) is not None

    return holds


def _of_two(meaning: Callable[[Asked, Any, Any], object], left: Expression, right: Expression) -> Expression:
    return lambda asked: meaning(asked, left(asked), right(asked))


def _equal(_asked: Asked, left: object, right: object) -> bool:
    return type(left) is type(right) and left == right


def _less(_asked: Asked, left: object, right: object) -> bool:
    if isinstance(left, Instant) and isinstance(right, Instant):
        return left.ms < right.ms
    if type(left) is int and type(right) is int:
        return left < right
    raise EvaluationFailed("only two numbers or two instants have an order")


def _in(asked: Asked, left: object, right: object) -> bool:
    among = frozenset({right}) if isinstance(right, Uid) else _set(right)
    return _is_in(asked, _entity(left), frozenset(_entity(member) for member in among))


def _is_in(asked: Asked, entity: Uid, among: frozenset[Uid]) -> bool:
    if entity in among:
        return True
    known = asked.entities.get(entity)
    return known is not None and not known.ancestors.isdisjoint(among)


_OF_TWO: Mapping[str, Callable[[Asked, Any, Any], object]] = {
    "==": _equal,
    "!=": lambda asked, left, right: not _equal(asked, left, right),
    "<": _less,
    "<=": lambda asked, left, right: not _less(asked, right, left),
    ">": lambda asked, left, right: _less(asked, right, left),
    ">=": lambda asked, left, right: not _less(asked, left, right),
    "+": lambda _asked, left, right: _number(_number(left) + _number(right)),
    "in": _in,
    "contains": lambda _asked, left, right: right in _set(left),
    "containsAll": lambda _asked, left, right: _set(left) >= _set(right),
    "containsAny": lambda _asked, left, right: not _set(left).isdisjoint(_set(right)),
}


def _number(value: object) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise EvaluationFailed("no whole number of 64 bits")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise EvaluationFailed("a condition is true or false")
    return value


def _set(value: object) -> frozenset[object]:
    if not isinstance(value, frozenset):
        raise EvaluationFailed("not a set")
    return value


def _entity(value: object) -> Uid:
    if not isinstance(value, Uid):
        raise EvaluationFailed("not an entity")
    return value
