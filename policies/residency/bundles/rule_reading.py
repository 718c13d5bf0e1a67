"""What one rule of a bundle speaks of: for whom, what and where it is, and which facts it asks. From Cedar's own JSON.

Nothing here decides anything. It says on which facts a decision cannot depend: it is asked once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cedarpy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.residency.bundles.rules import Rule

NAMESPACE = "Asr::"
_COMPARISONS = frozenset({"==", "!=", "in"})
_INCLUSIONS = frozenset({"contains", "containsAny", "containsAll"})
_ORDERS = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True, order=True)
class EntityName:
    """`kind`: the type without its namespace, such as `Profile`."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a rule's head that speaks of one of principal, action and resource.

    Attributes:
        is_everything: it does not narrow.
        kind: it must be of this type; empty: of any.
        exactly: it must be this very one.
        within: it must be one of these or belong to one of them.
    """

    is_everything: bool = False
    kind: str = ""
    exactly: EntityName | None = None
    within: tuple[EntityName, ...] = ()

    def holds(self, entity: EntityName, above: frozenset[EntityName]) -> bool:
        """Whether it holds for one that belongs to those `above`."""
        if self.is_everything:
            return True
        if self.kind and self.kind != entity.kind:
            return False
        if self.exactly is not None:
            return self.exactly == entity
        return not self.within or any(name == entity or name in above for name in self.within)


@dataclass(frozen=True, slots=True)
class RuleReading:
    """What a rule speaks of.

    Attributes:
        reads: facts that it asks, such as `context.dataClass` and `principal.onlyRegions`; a variable alone is one too.
        compared: by fact, the ids that it is compared with.
        opaque: facts that it uses in another way than by comparing them with ids that it names.
        mentions: every entity that is named anywhere in it.
        body: its head and conditions without annotations, canonical: equal bodies decide equally.
        conditions: `when` or `unless`, and Cedar's JSON of it.
    """

    id: str
    effect: str
    principal: Scope
    action: Scope
    resource: Scope
    reads: frozenset[str] = frozenset()
    compared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    opaque: frozenset[str] = frozenset()
    mentions: frozenset[EntityName] = frozenset()
    body: str = ""
    conditions: tuple[tuple[str, Any], ...] = ()


def read_rule(rule: Rule) -> RuleReading:
    """Read one rule.

    Raises:
        ValueError: its text is no single static policy.
    """
    document = json.loads(cedarpy.policies_to_json_str(rule.text))
    policies = [*document["staticPolicies"].values()]
    if len(policies) != 1 or document.get("templates"):
        raise ValueError(f"{rule.id}: not one policy")
    (policy,) = policies
    found = _Found()
    for condition in policy["conditions"]:
        _walk(condition["body"], found)
    heads = {name: _scope(policy[name]) for name in ("principal", "action", "resource")}
    for scope in heads.values():
        found.mentions.update(scope.within, () if scope.exactly is None else (scope.exactly,))
    return RuleReading(
        id=rule.id,
        effect=policy["effect"],
        **heads,
        reads=frozenset(found.reads),
        compared={fact: frozenset(ids) for fact, ids in found.compared.items()},
        opaque=frozenset(found.opaque),
        mentions=frozenset(found.mentions),
        body=json.dumps({key: policy[key] for key in sorted(policy) if key != "annotations"}, sort_keys=True),
        conditions=tuple((condition["kind"], condition["body"]) for condition in policy["conditions"]),
    )


def read_rules(rules: Mapping[str, Rule]) -> dict[str, RuleReading]:
    return {name: read_rule(rule) for name, rule in rules.items()}


def entity_name(node: Any) -> EntityName | None:
    """The entity that a literal names, or None: it is something else."""
    value = node.get("Value") if isinstance(node, dict) else None
    entity = value.get("__entity") if isinstance(value, dict) else None
    return None if entity is None else _name(entity)


def entity_names(node: Any) -> tuple[EntityName, ...] | None:
    """Those of a literal set, or of one literal; None: it is something else."""
    alone = entity_name(node)
    if alone is not None:
        return (alone,)
    if not isinstance(node, dict) or not isinstance(node.get("Set"), list):
        return None
    names = [entity_name(each) for each in node["Set"]]
    return None if None in names else tuple(name for name in names if name is not None)


def fact_name(node: Any) -> str | None:
    """`context.dataClass` for Cedar's JSON of it; None: it is something else."""
    if not isinstance(node, dict):
        return None
    if isinstance(node.get("Var"), str):
        return str(node["Var"])
    access = node.get(".")
    if isinstance(access, dict):
        owner = fact_name(access["left"])
        return None if owner is None else f"{owner}.{access['attr']}"
    return None


def _name(entity: Mapping[str, str]) -> EntityName:
    return EntityName(entity["type"].removeprefix(NAMESPACE), entity["id"])


def _scope(head: Mapping[str, Any]) -> Scope:
    """Cedar's JSON of a head; one that is not known counts as everything, which excludes nothing."""
    match head["op"]:
        case "==" if "entity" in head:
            return Scope(exactly=_name(head["entity"]))
        case "in" if "entity" in head or "entities" in head:
            return Scope(within=_names_in(head))
        case "is":
            inner = head.get("in")
            kind = head["entity_type"].removeprefix(NAMESPACE)
            return Scope(kind=kind, within=() if inner is None else _names_in(inner))
        case _:
            return Scope(is_everything=True)


def _names_in(head: Mapping[str, Any]) -> tuple[EntityName, ...]:
    return tuple(_name(entity) for entity in head.get("entities") or [head["entity"]])


class _Found:
    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.compared: dict[str, set[str]] = {}
        self.opaque: set[str] = set()
        self.mentions: set[EntityName] = set()

    def comparison(self, fact: str, names: Iterable[EntityName]) -> None:
        self.reads.add(fact)
        self.compared.setdefault(fact, set()).update(name.id for name in names)
        self.mentions.update(names)


def _walk(node: Any, found: _Found) -> None:
    """Enter what an expression reads."""
    if not isinstance(node, dict):
        return
    name = entity_name(node)
    if name is not None:
        found.mentions.add(name)
        return
    for operator, operands in node.items():
        if operator in _COMPARISONS | _INCLUSIONS | _ORDERS and _is_comparison(operator, operands, found):
            return
    fact = fact_name(node)
    if fact is not None:
        found.reads.add(fact)
        found.opaque.add(fact)
        return
    for operator, operands in node.items():
        if operator == "has":
            owner = fact_name(operands["left"])
            if owner is not None:
                found.reads.add(f"{owner}.{operands['attr']}")
                continue
        for operand in _operands(operands):
            _walk(operand, found)


def _is_comparison(operator: str, operands: Any, found: _Found) -> bool:
    """Whether it compares a fact with what is written in the rule; it is entered then."""
    left, right = operands["left"], operands["right"]
    for one, other in ((left, right), (right, left)):
        fact = fact_name(one)
        if fact is None:
            continue
        if operator in _ORDERS:
            if not _has_facts(other):
                found.comparison(fact, ())
                return True
            continue
        names = entity_names(other)
        if names is not None:
            found.comparison(fact, names)
            return True
    return False


def _has_facts(node: Any) -> bool:
    if isinstance(node, dict):
        return "Var" in node or any(_has_facts(each) for each in node.values())
    return isinstance(node, list) and any(_has_facts(each) for each in node)


def _operands(operands: Any) -> Iterator[Any]:
    if isinstance(operands, dict):
        for key, operand in operands.items():
            if key != "attr":
                yield from operand if isinstance(operand, list) else (operand,)
    elif isinstance(operands, list):
        yield from operands
