"""A rule in plain English, for readers who know no Cedar. The rule's text stays what counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cedarpy

from policies.residency.bundles.rule_reading import entity_name, entity_names, fact_name

if TYPE_CHECKING:
    from policies.residency.bundles.rule_reading import RuleReading, Scope

_YES_NO = {
    "context.subjectKnown": ("it is known where the speaker is", "it is not known where the speaker is"),
    "context.hasConsent": ("the speaker consented", "the speaker did not consent"),
    "context.isDraining": ("the region is being emptied", "the region is not being emptied"),
    "context.hasBreakGlass": ("an emergency permission covers it", "no emergency permission covers it"),
    "principal.requiresConsent": ("the profile asks for consent", "the profile does not ask for consent"),
    "principal.isRestricted": ("the profile is restricted", "the profile is not restricted"),
    "principal.legalHold": ("the project is under a legal hold", "the project is under no legal hold"),
    "resource.isSovereign": ("the region's operator is sovereign", "the region's operator is not sovereign"),
}
_NOUNS = {
    "context.dataClass": "the data class",
    "context.capacity": "the engine's machine",
    "context.legalBasis": "the legal basis",
    "context.trigger": "the occasion",
    "context.now": "the date",
    "context.subject": "the speaker's areas",
    "principal.org": "the organisation",
    "principal.keyRegion": "the region of the project's key",
    "principal.onlyRegions": "the project's list of regions",
    "principal.noProviders": "the providers that the project does not want",
    "resource.country": "the region's country",
    "resource.operator": "the region's operator",
    "resource.provider": "the region's provider",
    "resource.certifications": "the certifications of the region and its operator",
    "resource": "the region",
    "principal": "the project",
}
_HAS = {
    "principal.onlyRegions": ("the project has a list of regions", "the project has no list of regions"),
    "principal.keyRegion": ("the project's key has a region", "the project's key has no region"),
}
_ORDER = {
    ">=": ("on or after", "before"),
    "<": ("before", "on or after"),
    ">": ("after", "not after"),
    "<=": ("not after", "after"),
}
_MIDNIGHT = "T00:00:00Z"


def in_words(rule: RuleReading) -> str:
    """One or two sentences."""
    what = scope_words("action", rule.action)
    head = (
        f"{'Permits' if rule.effect == 'permit' else 'Forbids'} {what}, for {scope_words('principal', rule.principal)}"
    )
    head += f", in {scope_words('resource', rule.resource)}"
    conditions = [(kind, condition_words(body)) for kind, body in rule.conditions]
    when = [text for kind, text in conditions if kind == "when"]
    unless = [text for kind, text in conditions if kind == "unless"]
    if when:
        head += f", when {'; and '.join(when)}"
    if unless:
        head += f"; unless {'; or '.join(unless)}"
    return f"{head}."


def scope_words(slot: str, scope: Scope) -> str:
    """Of a rule's head, `slot` being principal, action or resource."""
    names = [name.id for name in ((scope.exactly,) if scope.exactly is not None else scope.within)]
    kinds = {name.kind for name in ((scope.exactly,) if scope.exactly is not None else scope.within)}
    listed = _either(names)
    match slot:
        case "action":
            return "everything" if not names else ", ".join(names)
        case "principal":
            if not names:
                return "everybody"
            return f"the profile {listed}" if kinds == {"Profile"} else f"the project {listed}"
        case _:
            return "every region" if not names else listed


def condition_words(node: Any, *, negated: bool = False) -> str:
    """Of Cedar's JSON of an expression; what has no words here is told as Cedar."""
    for operator, operands in node.items():
        match operator:
            case "!":
                return condition_words(operands["arg"], negated=not negated)
            case "&&" | "||":
                return _joined(operator, operands, negated=negated)
            case _:
                return _plain(operator, operands, node, negated=negated) or _cedar(node, negated=negated)
    return _cedar(node, negated=negated)


def conjuncts(node: Any) -> list[Any]:
    """The parts that must all hold for it to hold."""
    if isinstance(node, dict) and "&&" in node:
        return [*conjuncts(node["&&"]["left"]), *conjuncts(node["&&"]["right"])]
    return [node]


def cedar_text(node: Any) -> str:
    """The expression as Cedar."""
    policy = {
        "effect": "permit",
        "principal": {"op": "All"},
        "action": {"op": "All"},
        "resource": {"op": "All"},
        "conditions": [{"kind": "when", "body": node}],
    }
    text = cedarpy.policies_from_json_str(
        json.dumps({"staticPolicies": {"p": policy}, "templates": {}, "templateLinks": []})
    )
    return text[text.index("{") + 1 : text.rindex("}")].strip()


def _joined(operator: str, operands: Any, *, negated: bool) -> str:
    parts = _flat(operator, operands)
    is_and = (operator == "&&") is not negated
    told = []
    for part in parts:
        text = condition_words(part, negated=negated)
        inner = "||" if operator == "&&" else "&&"
        told.append(f"({text})" if inner in part else text)
    return (" and " if is_and else " or ").join(told)


def _flat(operator: str, operands: Any) -> list[Any]:
    found = []
    for side in ("left", "right"):
        inner = operands[side]
        found += _flat(operator, inner[operator]) if operator in inner else [inner]
    return found


def _plain(operator: str, operands: Any, node: Any, *, negated: bool) -> str:
    """Words of what is no composition; empty: there are none."""
    fact = fact_name(node)
    if fact in _YES_NO:
        return _YES_NO[fact][negated]
    if not isinstance(operands, dict):
        return ""
    match operator:
        case "has":
            return _HAS.get(f"{fact_name(operands['left'])}.{operands['attr']}", ("", ""))[negated]
        case "==" | "!=":
            return _equal(operands["left"], operands["right"], negated=negated is (operator == "=="))
        case "in":
            return _within(operands["left"], operands["right"], negated=negated)
        case "contains" | "containsAny" | "containsAll":
            return _contains(operator, operands["left"], operands["right"], negated=negated)
        case _ if operator in _ORDER:
            date = _date(operands["right"])
            if fact_name(operands["left"]) == "context.now" and date:
                return f"the date is {_ORDER[operator][negated]} {date}"
    return ""


def _equal(left: Any, right: Any, *, negated: bool) -> str:
    fact, value = fact_name(left), _value(right)
    if fact is None:
        fact, value = fact_name(right), _value(left)
    if fact in _YES_NO and value in ("yes", "no"):
        return _YES_NO[fact][negated is (value == "yes")]
    if fact not in _NOUNS or not value:
        return ""
    return f"{_NOUNS[fact]} {'is not' if negated else 'is'} {value}"


def _within(left: Any, right: Any, *, negated: bool) -> str:
    fact, names = fact_name(left), entity_names(right)
    if not names or fact not in _NOUNS:
        return ""
    listed = _either([name.id for name in names])
    if fact == "principal" and {name.kind for name in names} == {"Profile"}:
        return f"the profile {'is not' if negated else 'is'} {listed}"
    if fact == "resource":
        return f"the region {'is not' if negated else 'is'} in {listed}"
    return f"{_NOUNS[fact]} {'is not' if negated else 'is'} {listed}"


def _contains(operator: str, left: Any, right: Any, *, negated: bool) -> str:
    fact, names = fact_name(left), entity_names(right)
    if fact == "principal.onlyRegions" and fact_name(right) == "resource":
        return f"the region is {'not ' if negated else ''}on the project's list"
    if fact == "principal.noProviders" and fact_name(right) == "resource.provider":
        return f"the project {'does not exclude' if negated else 'excludes'} the region's provider"
    if fact is None:
        choices, asked = entity_names(left), fact_name(right)
        if not choices or asked not in _NOUNS:
            return ""
        return f"{_NOUNS[asked]} {'is not' if negated else 'is'} {_either([name.id for name in choices])}"
    if not names:
        return ""
    ids = [name.id for name in names]
    listed = " and ".join(ids) if operator == "containsAll" else _either(ids)
    if fact == "context.subject":
        return f"the speaker {'is not' if negated else 'is'} in {listed}"
    if fact == "resource.certifications":
        return f"the region {'lacks' if negated else 'has'} the certification {listed}"
    return "" if fact not in _NOUNS else f"{_NOUNS[fact]} {'do not include' if negated else 'include'} {listed}"


def _value(node: Any) -> str:
    name = entity_name(node)
    if name is not None:
        return name.id
    fact = fact_name(node)
    if fact in _NOUNS:
        return _NOUNS[fact]
    value = node.get("Value") if isinstance(node, dict) else None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else _date(node)


def _date(node: Any) -> str:
    """Of a literal; empty: it is none."""
    arguments = node.get("datetime") if isinstance(node, dict) else None
    if not isinstance(arguments, list) or len(arguments) != 1:
        return ""
    text = arguments[0].get("Value") if isinstance(arguments[0], dict) else None
    return text.removesuffix(_MIDNIGHT) if isinstance(text, str) else ""


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else ""


def _cedar(node: Any, *, negated: bool) -> str:
    return f"{'not ' if negated else ''}`{cedar_text(node)}`"
