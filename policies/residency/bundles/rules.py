"""The rules of a bundle: cut apart, parsed one by one, and known by their `@id`.

Cedar gives rules numbers in the order of the text. Everybody else knows them by `@id`, also in messages.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cedarpy

from policies.residency.bundles.instants import is_date, seconds_of
from policies.residency.visible_text import hidden_in_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.residency.bundles.mistakes import Mistakes

MAX_RULES = 2_000
MAX_RULE_CHARACTERS = 16_384
MAX_DEPTH = 32
"""Of brackets. Cedar's parser recurses, and some thousand of them end the whole process."""

ANNOTATIONS = ("id", "owner", "basis", "review_by", "ticket")
KINDS = ("statutory", "profile", "operational")
RUNNING = ("at_once", "at_commit_point")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TOKENS = re.compile(r'//[^\n\r]*|"(?:[^"\\]|\\.)*"|[;(\[{)\]}]|"', re.DOTALL)
_CURLY = re.compile("[“”„]")
_NOT_BLANK = re.compile(r"\S")
_SAID_ID = re.compile(r'@id\("([^"\\]{0,100})"\)')
_CONTEXT = {"Var": "context"}
_SUBJECT = {".": {"left": _CONTEXT, "attr": "subject"}}
_LOOKS_FOR = ("contains", "containsAny", "containsAll")
_MOVING_TIME = frozenset({"offset", "durationSince", "toDate", "toTime", "duration"})
"""What makes other instants of instants: with them, nobody could say when a decision changes next."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One of them.

    Attributes:
        effect: permit or forbid.
        line: of its file, where it begins.
        instants: Unix seconds at which what it says may change: of each date in it, and the second after.
        named: entities that it names as `(type without namespace, id)`.
        actions: those in its head; None: it is about all of them.
        facts: attributes of `context` that it asks; None: it may ask any.
        areas: regimes that it looks for among those of the speaker; None: it may look for any.
    """

    id: str
    effect: str
    annotations: Mapping[str, str]
    file: str
    line: int
    text: str
    instants: tuple[int, ...] = ()
    named: frozenset[tuple[str, str]] = frozenset()
    actions: frozenset[str] | None = None
    facts: frozenset[str] | None = None
    areas: frozenset[str] | None = None

    @property
    def kind(self) -> str:
        """Of KINDS."""
        return self.annotations.get("kind", "operational")

    @property
    def is_statutory(self) -> bool:
        """Nothing overrides it, no emergency either."""
        return self.kind == "statutory"

    @property
    def ends_at_once(self) -> bool:
        """A running session that it forbids ends now; otherwise at its next commit point."""
        return self.annotations.get("running") == "at_once"


def read_rules(text: str, path: str, mistakes: Mistakes) -> list[Rule]:
    """Those of one file, in their order; each that is wrong is told and left out."""
    rules = []
    for line, rule_text in cut_apart(text, path, mistakes):
        rule = _read(rule_text, path, line, mistakes)
        if rule is not None:
            rules.append(rule)
    return rules


def cut_apart(text: str, path: str, mistakes: Mistakes) -> list[tuple[int, str]]:
    """(line, text) of each rule with the comments before it. Nothing where brackets or quotes do not fit."""
    found: list[tuple[int, str]] = []
    blank = _without_comments(text)
    begin = depth = counted = 0
    line = 1
    for token in _TOKENS.finditer(text):
        match token[0]:
            case "(" | "[" | "{":
                depth += 1
                if depth > MAX_DEPTH:
                    mistakes.add(f"{path} line {_line(text, token.start())}", f"more than {MAX_DEPTH} brackets deep")
                    return []
            case ")" | "]" | "}":
                depth -= 1
            case '"':
                mistakes.add(f"{path} line {_line(text, token.start())}", "a quote is not closed")
                return []
            case ";":
                depth = 0
                first = _first(blank, begin)
                line, counted = line + text.count("\n", counted, first), first
                found.append((line, text[begin : token.end()].strip()))
                begin = token.end()
                if len(found) > MAX_RULES:
                    mistakes.add(path, f"more than {MAX_RULES} rules")
                    return []
    if (first := _first(blank, begin)) < len(text):
        wrong = "a rule does not end with a semicolon"
        if text[first] == "#":
            wrong = "remarks in rules begin with // and not with #"
        mistakes.add(f"{path} line {_line(text, first)}", wrong)
    return found


def _read(text: str, path: str, line: int, mistakes: Mistakes) -> Rule | None:
    said_id = _SAID_ID.search(text)
    where = f"{path} line {line}" + (f" ({said_id[1]})" if said_id else "")
    if len(text) > MAX_RULE_CHARACTERS:
        mistakes.add(where, f"a rule longer than {MAX_RULE_CHARACTERS} characters")
        return None
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(text))
    except RecursionError:
        mistakes.add(where, "is nested too deeply")
        return None
    except ValueError as error:
        advice = '; texts stand between straight quotes, ", and not between “ and ”' if _CURLY.search(text) else ""
        mistakes.add(where, f"is no Cedar rule: {error}{advice}")
        return None
    found = list(parsed["staticPolicies"].values())
    if parsed["templates"] or parsed["templateLinks"] or len(found) != 1:
        mistakes.add(where, "is no complete rule: slots like ?principal have no place here")
        return None
    rule = found[0]
    annotations = {key: value or "" for key, value in rule.get("annotations", {}).items()}
    told = mistakes.count
    _check_annotations(annotations, where, mistakes)
    if any(map(hidden_in_file, _texts(rule))):
        mistakes.add(where, "has control characters or others that nobody sees in a text")
    instants = _instants(rule, where, mistakes)
    if mistakes.count > told:
        return None
    return Rule(
        id=annotations["id"],
        effect=rule["effect"],
        annotations=annotations,
        file=path,
        line=line,
        text=text,
        instants=instants,
        named=frozenset(_named_entities(rule)),
        actions=_actions(rule["action"]),
        facts=_facts(rule["conditions"]),
        areas=_areas(rule["conditions"]),
    )


def _check_annotations(annotations: Mapping[str, str], where: str, mistakes: Mistakes) -> None:
    for name in ANNOTATIONS:
        if not annotations.get(name, "").strip():
            mistakes.add(where, f"@{name} is missing")
    if annotations.get("id") and _ID.fullmatch(annotations["id"]) is None:
        mistakes.add(where, f"@id is {annotations['id'][:80]!r}; it is made of letters, digits and . _ -")
    if annotations.get("review_by") and not is_date(annotations["review_by"]):
        mistakes.add(where, f"@review_by is {annotations['review_by'][:80]!r}; it is a day, like 2026-12-31")
    for name, words in (("kind", KINDS), ("running", RUNNING)):
        if name in annotations and annotations[name] not in words:
            mistakes.add(where, f"@{name} is {annotations[name][:80]!r}; it is one of {', '.join(words)}")


def _instants(rule: object, where: str, mistakes: Mistakes) -> tuple[int, ...]:
    """`now >= T` changes at T, and `now > T` a second later."""
    found: set[int] = set()
    for node in _nodes(rule):
        for key in _MOVING_TIME.intersection(node):
            if isinstance(node[key], list):
                mistakes.add(where, f"uses {key}(): dates in rules are compared with context.now and nothing else")
        literal = node.get("datetime")
        if not isinstance(literal, list):
            continue
        value = literal[0].get("Value") if len(literal) == 1 and isinstance(literal[0], dict) else None
        try:
            at_s = seconds_of(value if isinstance(value, str) else "", may_be_a_date=True)
        except ValueError as error:
            mistakes.add(where, f"datetime(): {error}")
            continue
        found |= {at_s, at_s + 1}
    return tuple(sorted(found))


def _named_entities(rule: object) -> Iterator[tuple[str, str]]:
    for node in _nodes(rule):
        if node.keys() == {"type", "id"} and isinstance(node["type"], str) and isinstance(node["id"], str):
            yield node["type"].rpartition("::")[2], node["id"]


def _actions(head: Mapping[str, object]) -> frozenset[str] | None:
    """Those of `action == ..` and `action in [..]`. Actions are in no groups: the schema is checked for it."""
    if head.get("op") not in ("==", "in"):
        return None
    return frozenset(name for kind, name in _named_entities(head) if kind == "Action") or None


def _facts(conditions: object) -> frozenset[str] | None:
    """`context.x` and `context has x`. Where the context is used in any other way, it is not known what is asked."""
    found: set[str] = set()
    uses = 0
    for node in _nodes(conditions):
        uses += node == _CONTEXT
        for asked in (node.get("."), node.get("has")):
            if isinstance(asked, dict) and asked.get("left") == _CONTEXT and isinstance(asked.get("attr"), str):
                found.add(asked["attr"])
                uses -= 1
    return frozenset(found) if uses == 0 else None


def _areas(conditions: object) -> frozenset[str] | None:
    """Those in `context.subject.contains(..)` and the like. Where it is used in any other way, or the context as a
    whole, it is not known what is looked for.
    """
    if _facts(conditions) is None:
        return None
    found: set[str] = set()
    uses = 0
    for node in _nodes(conditions):
        uses += node == _SUBJECT
        for asked in map(node.get, _LOOKS_FOR):
            if isinstance(asked, dict) and asked.get("left") == _SUBJECT:
                named = _literal_areas(asked.get("right"))
                uses -= named is not None
                found.update(named or ())
    return frozenset(found) if uses == 0 else None


def _literal_areas(expression: object) -> list[str] | None:
    """Of a literal, or of a set of nothing but literals."""
    match expression:
        case {"Value": {"__entity": {"type": str(), "id": str(name)}}}:
            return [name]
        case {"Set": list(members)}:
            each = [_literal_areas(member) if "Value" in member else None for member in members]
            return None if None in each else [name for names in each for name in names or ()]
    return None


def _nodes(rule: object) -> Iterator[dict[str, object]]:
    """Each object of the rule's JSON. Not recursive: rules are deep."""
    waiting = [rule]
    while waiting:
        match waiting.pop():
            case dict() as node:
                yield node
                waiting.extend(node.values())
            case list() as members:
                waiting.extend(members)


def _texts(rule: object) -> Iterator[str]:
    """Each text of the rule's JSON."""
    for node in _nodes(rule):
        for value in node.values():
            members = value if isinstance(value, list) else (value,)
            yield from (member for member in members if isinstance(member, str))


def _first(blank: str, begin: int) -> int:
    """Where the next thing stands that is neither white space nor a comment. `blank`: the text without comments."""
    found = _NOT_BLANK.search(blank, begin)
    return len(blank) if found is None else found.start()


def _without_comments(text: str) -> str:
    """Comments are blanks, so that everything stays where it is."""
    return _TOKENS.sub(lambda token: " " * len(token[0]) if token[0].startswith("//") else token[0], text)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
