"""The schema of a bundle: which words it knows, and whether it fits the questions that are asked.

It is always given to Cedar: without it, a question that lacks half its facts may be allowed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import cedarpy

from policies.residency.bundles.cedar_names import action_uid, uid
from policies.residency.bundles.rules import MAX_DEPTH
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policies.residency.bundles.mistakes import Mistakes

SCHEMA = "schema.cedarschema"
FIXED = {"DataClass": DataClass, "LegalBasis": LegalBasis, "Trigger": Trigger, "Capacity": CapacityClass}
"""Enumerated types whose members the program knows. What is asked with other words cannot come up."""
FREE = ("Profile", "Jurisdiction", "Certification", "Provider")
"""Enumerated types whose members the bundle chooses."""

_NAMESPACE = "Asr"
_TOKENS = re.compile(r'//[^\n\r]*|"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|\S', re.DOTALL)
_OPENING, _CLOSING = frozenset("([{<"), frozenset(")]}>")


def read_schema(text: str, mistakes: Mistakes, *, release_gil: bool = False) -> cedarpy.Schema | None:
    """The schema, parsed; None, told, where it cannot be."""
    tokens = [token[0] for token in _TOKENS.finditer(text)]
    depth = 0
    for token in tokens:
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth > MAX_DEPTH:  # Cedar's parser recurses without a bound
            mistakes.add(SCHEMA, f"more than {MAX_DEPTH} brackets deep")
            return None
    if _has_types_of_types(tokens):
        mistakes.add(SCHEMA, "a `type` names another one")
        return None
    try:
        return cedarpy.Schema.from_str(text, release_gil=release_gil)
    except ValueError as error:
        mistakes.add(SCHEMA, str(error))
        return None


def words_of(schema: cedarpy.Schema, mistakes: Mistakes) -> dict[str, tuple[str, ...]]:
    """Members of the enumerated types of namespace Asr by their names, and the actions as `Action`."""
    found: dict[str, list[str]] = {"Action": []}
    tokens = [token[0] for token in _TOKENS.finditer(str(schema))]  # Cedar's own writing of it: one form for everything
    namespace, depth = "", 0
    for position, token in enumerate(tokens):
        depth += (token == "{") - (token == "}")
        if token == "namespace" and depth == 0:
            namespace = tokens[position + 1]
        if namespace != _NAMESPACE or depth != 1:
            continue
        if token == "enum" and tokens[position - 2] == "entity":
            found[tokens[position - 1]] = _strings(tokens[position + 2 :])
        elif token == "action":
            found["Action"].append(_strings(tokens[position + 1 :])[0])
            if tokens[position + 2] == "in":
                mistakes.add(SCHEMA, "actions are in no groups: each is permitted apart")
    for name, members in found.items():
        if any("\\" in member for member in members):
            mistakes.add(SCHEMA, f"{name}: words are written without a backslash")
    return {name: tuple(members) for name, members in found.items()}


def check_words(words: Mapping[str, tuple[str, ...]], profiles: Iterable[str], mistakes: Mistakes) -> None:
    """Whether they are those of the program, and those of profiles.toml."""
    for name, known in FIXED.items():
        _compare(name, words.get(name), list(known), "those of the program", mistakes)
    _compare("Action", words.get("Action"), list(Action), "those of the program", mistakes)
    _compare("Profile", words.get("Profile"), list(profiles), "those of profiles.toml", mistakes)
    for name in FREE:
        if not words.get(name):
            mistakes.add(SCHEMA, f"entity {name} is no enumerated type")


def check_fit(schema: cedarpy.Schema, words: Mapping[str, tuple[str, ...]], mistakes: Mistakes) -> None:
    """Whether it describes the entities and questions that are made here: by trying, without any rules."""
    profile, jurisdiction, certification, provider = (words[name][0] for name in FREE)
    region = {
        "uid": uid("Region", "-"),
        "attrs": {
            "country": "DE",
            "operator": "-",
            "provider": uid("Provider", provider),
            "isSovereign": False,
            "certifications": [uid("Certification", certification)],
        },
        "parents": [uid("Jurisdiction", jurisdiction)],
    }
    plain = {
        "org": "-",
        "noProviders": [uid("Provider", provider)],
        "requiresConsent": False,
        "isRestricted": False,
        "legalHold": False,
    }
    narrowed = plain | {"onlyRegions": [uid("Region", "-")], "keyRegion": uid("Region", "-")}
    projects = [
        {"uid": uid("Project", name), "attrs": attributes, "parents": [uid("Profile", profile)]}
        for name, attributes in (("plain", plain), ("narrowed", narrowed))
    ]
    try:
        entities = cedarpy.Entities.from_json_str(json.dumps([region, *projects]), schema)
    except ValueError as error:
        mistakes.add(SCHEMA, f"does not fit the regions and projects that are made of the rows: {_whole(error)}")
        return
    context = {
        "now": "1970-01-01T00:00:00Z",
        "dataClass": uid("DataClass", DataClass.public),
        "subject": [uid("Jurisdiction", jurisdiction)],
        "subjectKnown": True,
        "hasConsent": False,
        "legalBasis": uid("LegalBasis", LegalBasis.unstated),
        "capacity": uid("Capacity", CapacityClass.reserved),
        "trigger": uid("Trigger", Trigger.initial),
        "isDraining": False,
        "hasBreakGlass": False,
    }
    no_rules = cedarpy.PolicySet.from_str("")
    for action in Action:
        request = {
            "principal": uid("Project", "plain"),
            "action": action_uid(action),
            "resource": uid("Region", "-"),
            "context": context,
        }
        answer = cedarpy.is_authorized(request, no_rules, entities, schema)
        if answer.decision is not cedarpy.Decision.Deny or answer.diagnostics.errors:
            said = "; ".join(answer.diagnostics.errors)
            mistakes.add(SCHEMA, f"does not fit the questions that are asked about {action}: {said}")


def _has_types_of_types(tokens: list[str]) -> bool:
    """Cedar writes each out wherever it is named: a few lines of types that name types would fill any memory."""
    begins = [place for place in range(len(tokens) - 2) if tokens[place] == "type" and tokens[place + 2] == "="]
    names = {tokens[place + 1] for place in begins}
    for place in begins:
        for token in tokens[place + 3 :]:
            if token == ";":
                break
            if token in names:
                return True
    return False


def _strings(tokens: list[str]) -> list[str]:
    """Those up to the first token that is neither a string nor a comma."""
    found = []
    for token in tokens:
        if token.startswith('"'):
            found.append(token[1:-1])
        elif token != ",":
            break
    return found or [tokens[0]]


def _compare(name: str, said: Iterable[str] | None, known: Iterable[str], whose: str, mistakes: Mistakes) -> None:
    if said is None:
        mistakes.add(SCHEMA, f"entity {name} is no enumerated type")
        return
    missing, foreign = sorted(set(known) - set(said)), sorted(set(said) - set(known))
    if missing or foreign:
        told = [f"lacks {', '.join(missing)}"] if missing else []
        told += [f"has {', '.join(foreign)} beside them"] if foreign else []
        mistakes.add(SCHEMA, f"{name} is not {whose}: it {' and '.join(told)}")


def _whole(error: BaseException) -> str:
    """The message with those of its causes."""
    said = str(error)
    return f"{said}: {_whole(error.__cause__)}" if error.__cause__ is not None else said
