"""Scenario tables of a bundle: situations that compliance people wrote down, each with the decision they expect. PURE.

A scenario is one situation, or several steps of a story. Lists of actions and regions mean each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING, TypeVar

from policies.residency.bundles.instants import seconds_of
from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.checks.scenario_text import root_entry
from policies.residency.decision import Question, Situation
from policies.residency.situation import Sources, Stated, situation_of
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.checks.scenario_text import Entry

NONE = "none"
"""In a table: no rule, or no profile."""

_ISSUED, _LAST_SECOND, _EXPIRED = "issued", "last-second", "expired"
"""Instants that a table may name without knowing them: the bundle's own."""

MAX_CHECKS = 20_000
_WHO = ("project", "profile")
_SITUATION = (
    *_WHO, "subject", "seen_in", "data_class", "legal_basis", "consent", "action", "region", "capacity", "trigger",
    "draining", "break_glass", "at",
)  # fmt: skip
_EXPECTED = ("expect", "rule", "error")
_SCENARIO = ("name", "steps", *_SITUATION, *_EXPECTED)
_FILE = ("at", "scenarios")
_Word = TypeVar("_Word", bound=StrEnum)


class ScenariosRefused(BundleRefused):
    """The tables cannot be read. `mistakes`: every one, with its file and line."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question of a table, and what must come of it.

    Attributes:
        scenario: its name.
        place: file and line.
        question: None: the situation is a contradiction, which `conflict` names, and which is refused.
        is_allowed: expected.
        rules: those that must have decided it, exactly; none: no rule may have matched. None: any.
        error: must be part of what went wrong; empty: nothing may go wrong.
    """

    scenario: str
    place: str
    at_s: int
    question: Question | None
    conflict: str
    is_allowed: bool
    rules: frozenset[str] | None
    error: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """`checks`: of all its steps, in their order."""

    name: str
    file: str
    line: int
    checks: tuple[Check, ...]


def read_scenarios(bundle: Bundle) -> tuple[Scenario, ...]:
    """Those of all tables of the bundle, by file.

    Raises:
        ScenariosRefused: a table has mistakes.
    """
    reader = _Reader(bundle)
    found: list[Scenario] = []
    for path in sorted(bundle.scenario_files):
        found.extend(reader.file(path, bundle.scenario_files[path]))
    names: dict[str, Scenario] = {}
    for scenario in found:
        first = names.setdefault(scenario.name, scenario)
        if first is not scenario:
            reader.mistakes.add(
                f"{scenario.file} line {scenario.line}", f"{scenario.name!r} is also in {first.file} line {first.line}"
            )
    try:
        reader.mistakes.refuse_if_any()
    except BundleRefused as refused:
        raise ScenariosRefused(refused.mistakes) from None
    return tuple(found)


class _Reader:
    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.mistakes = Mistakes()
        self._checks = 0

    def file(self, path: str, data: bytes) -> Iterator[Scenario]:
        root = root_entry(data, path, self.mistakes)
        if root is None:
            return
        root.only(_FILE)
        at = root.text("at")
        for entry in root.entries("scenarios"):
            entry.only(_SCENARIO)
            name = entry.text("name")
            if not name:
                entry.tell("it has no `name`")
            checks = tuple(check for step in _steps(entry) for check in self._checks_of(name, step, at))
            yield Scenario(name=name, file=path, line=entry.line, checks=checks)

    def _checks_of(self, name: str, step: Entry, at: str) -> Iterator[Check]:
        told_before = self.mistakes.count
        at_s = self._instant(step, step.text("at") or at)
        actions = [word for text in step.texts("action") if (word := _word(step, "action", text, Action)) is not None]
        regions = step.texts("region")
        for field, values in (("action", actions), ("region", regions)):
            if not values:
                step.tell(f"it has no `{field}`")
        stated = self._stated(step)
        situation, conflict = self._situation(step, stated)
        capacity = _word(step, "capacity", step.text("capacity"), CapacityClass) or CapacityClass.reserved
        trigger = _word(step, "trigger", step.text("trigger"), Trigger) or Trigger.initial
        is_draining, has_break_glass = bool(step.flag("draining")), bool(step.flag("break_glass"))
        expect = step.text("expect")
        if expect not in ("allow", "deny"):
            step.tell(f"`expect` is {expect!r}; it is allow or deny" if expect else "it has no `expect`")
        rules = self._rules(step)
        self._checks += len(actions) * len(regions)
        if self._checks > MAX_CHECKS:
            step.tell(f"more than {MAX_CHECKS} questions in all tables")
        if self.mistakes.count > told_before:
            return
        for action, region in product(actions, regions):
            question = None
            if situation is not None:
                question = Question(situation, action, region, capacity, trigger, is_draining, has_break_glass)
            yield Check(
                scenario=name, place=step.place, at_s=at_s, question=question, conflict=conflict,
                is_allowed=expect == "allow", rules=rules, error=step.text("error"),
            )  # fmt: skip

    def _stated(self, step: Entry) -> Stated:
        return Stated(
            data_class=_word(step, "data_class", step.text("data_class"), DataClass),
            subject_countries=frozenset(
                country for country in step.texts("subject") if _is_country(step, "subject", country)
            ),
            has_consent=step.flag("consent"),
            legal_basis=_word(step, "legal_basis", step.text("legal_basis"), LegalBasis),
        )

    def _situation(self, step: Entry, stated: Stated) -> tuple[Situation | None, str]:
        """It, or why there is none."""
        project, profile, seen = step.text("project"), step.text("profile"), step.text("seen_in")
        if not project and not profile:
            step.tell("it has neither `project` nor `profile`")
        row = self._bundle.projects.get(project)
        if project and row is None:
            step.tell(f"there is no project {project!r} in projects.toml", step.fields["project"])
        if seen:
            _is_country(step, "seen_in", seen)
        found = situation_of(
            Sources(
                project=project,
                row=row,
                profile="" if profile == NONE else profile,
                claims=stated,
                seen_country=seen,
            )
        )
        return (found, "") if isinstance(found, Situation) else (None, found.detail)

    def _instant(self, step: Entry, text: str) -> int:
        bundle = self._bundle
        own = {
            _ISSUED: bundle.issued_at_s,
            _LAST_SECOND: bundle.expires_at_s - 1,
            _EXPIRED: bundle.expires_at_s,
        }
        if text in own:
            return own[text]
        if not text:
            step.tell("it has no `at`, and neither has its file: an instant such as 2027-01-31T00:00:00Z")
            return 0
        try:
            return seconds_of(text, may_be_a_date=True)
        except ValueError as error:
            step.tell(f"`at`: {error}", step.fields.get("at"))
            return 0

    def _rules(self, step: Entry) -> frozenset[str] | None:
        names = step.texts("rule")
        if not names and not step.text("error"):
            step.tell("it has no `rule`; say `rule: none` where no rule is to match")
            return None
        if names == (NONE,):
            return frozenset()
        for name in names:
            if name not in self._bundle.rules:
                step.tell(f"there is no rule {name!r} in rules/", step.fields["rule"])
        return frozenset(names) if names else None


def _steps(entry: Entry) -> Iterator[Entry]:
    """The scenario itself, or its steps, each with what the scenario says for all of them."""
    if "steps" not in entry.fields:
        yield entry
        return
    for step in entry.entries("steps"):
        step.only((*_SITUATION, *_EXPECTED))
        says_who = any(field in step.fields for field in _WHO)
        step.over(entry, dropped=("name", "steps", *(_WHO if says_who else ())))
        yield step


def _word(step: Entry, field: str, text: str, words: type[_Word]) -> _Word | None:
    if not text:
        return None
    try:
        return words(text)
    except ValueError:
        step.tell(f"`{field}` is {text!r}; it is one of {', '.join(words)}", step.fields[field])
        return None


def _is_country(step: Entry, field: str, text: str) -> bool:
    if len(text) == 2 and text.isascii() and text.isalpha() and text.isupper():  # ISO 3166-1 alpha-2
        return True
    step.tell(f"`{field}` has {text!r}, which is no country: two capital letters", step.fields[field])
    return False
