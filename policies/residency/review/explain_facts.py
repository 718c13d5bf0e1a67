"""The rows of a bundle that one answer rests on, with what they are based on and from when until when they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.residency.bundles.rows import ALL
from policies.residency.bundles.rule_reading import read_rules
from policies.residency.review.diff_rows import date_of
from policies.residency.review.question_space import speaks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rows import DatedRow, JurisdictionRow
    from policies.residency.deciding.engine import ResidencyEngine
    from policies.residency.decision import Question

_MIDNIGHT = "T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Fact:
    """`about`: caller, region, operator or speaker. `basis`: why it is so, where a row says it. `dates`: of its row."""

    about: str
    said: str
    basis: str = ""
    dates: str = ""


def facts_of(bundle: Bundle, engine: ResidencyEngine, question: Question) -> tuple[Fact, ...]:
    """In the order: caller, region, its operator, where it is, where the speaker is."""
    asked = _asked(bundle, question)
    return (
        *_caller(bundle, question),
        *_region(bundle, engine, question.region, asked),
        *_speaker(bundle, engine, question, asked),
    )


def _caller(bundle: Bundle, question: Question) -> Iterator[Fact]:
    situation = question.situation
    profile = bundle.profiles.get(situation.profile)
    if profile is None:
        yield Fact("caller", f"the bundle has no profile {situation.profile or '(none)'}")
    else:
        terms = ["is restricted"] if profile.is_restricted else []
        terms += ["asks for consent"] if profile.requires_consent else []
        yield Fact("caller", f"profile {profile.name}{': ' if terms else ''}{', '.join(terms)}", profile.title)
    row = bundle.projects.get(situation.project)
    if row is None:
        if situation.project:
            yield Fact("caller", f"the bundle has no project {situation.project}")
        return
    told = [f"project {row.project}"]
    if row.only_regions is not None:
        told.append(f"only in {', '.join(sorted(row.only_regions)) or 'no region'}")
    if row.no_providers:
        told.append(f"not on {', '.join(sorted(row.no_providers))}")
    if row.key_region is not None:
        told.append(f"its key is in {row.key_region}")
    if row.legal_hold:
        told.append("under a legal hold")
    yield Fact("caller", "; ".join(told))


def _region(bundle: Bundle, engine: ResidencyEngine, region: str, asked: _Asked) -> Iterator[Fact]:
    rows = [row for row in bundle.regions if row.region == region]
    if not rows:
        yield Fact("region", f"the bundle has no region {region}")
        return
    for row in rows:
        said = f"{region} is in {row.country}, run by {row.operator}"
        if row.certifications:
            said += f", certified for {', '.join(sorted(row.certifications))}"
        if row.in_force_at(engine.at_s) or len(rows) == 1:
            yield Fact("region", said, f"approved by {row.approved_by}", _dates(row, engine.at_s))
    current = next((row for row in rows if row.in_force_at(engine.at_s)), rows[-1])
    for operator in bundle.operators:
        if operator.operator == current.operator:
            holds = ", ".join(sorted(operator.certifications)) or "nothing"
            kind = "sovereign operator" if operator.is_sovereign else "operator"
            said = f"{kind} {operator.operator} on {operator.provider}, certified for {holds}"
            yield Fact("operator", said, operator.basis, _dates(operator, engine.at_s))
    held = [row for row in bundle.operators if row.operator == current.operator and row.in_force_at(engine.at_s)]
    certified = frozenset(name for row in held for name in row.certifications)
    for area in _areas(bundle, current.country):
        if area.regime in asked.regions:
            counts = area.scope == ALL or area.scope in certified
            lacks = "" if counts else f"does not count: the operator lacks {area.scope}"
            yield _area_fact("region", area, engine.at_s, lacks)


def _speaker(bundle: Bundle, engine: ResidencyEngine, question: Question, asked: _Asked) -> Iterator[Fact]:
    countries = question.situation.subject_countries
    if not countries:
        yield Fact("speaker", "nobody knows where the speaker is")
    for country in sorted(countries):
        areas = [row for row in _areas(bundle, country) if row.scope == ALL and row.regime in asked.speakers]
        if not areas:
            yield Fact("speaker", f"{country} is in no area that a rule on {question.action} asks about")
        for area in areas:
            yield _area_fact("speaker", area, engine.at_s)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Areas that rules on the action ask about."""

    regions: frozenset[str]
    speakers: frozenset[str]


def _asked(bundle: Bundle, question: Question) -> _Asked:
    every = frozenset(row.regime for row in bundle.jurisdictions)
    regions: set[str] = set()
    speakers: set[str] = set()
    for rule in read_rules(bundle.rules).values():
        if not speaks_of(rule, question.action):
            continue
        of_speaker = every if "context.subject" in rule.opaque else rule.compared.get("context.subject", frozenset())
        speakers |= of_speaker
        regions |= {name.id for name in rule.mentions if name.kind == "Jurisdiction"}
    return _Asked(frozenset(regions), frozenset(speakers))


def _areas(bundle: Bundle, country: str) -> list[JurisdictionRow]:
    return [row for row in bundle.jurisdictions if row.code == country]


def _area_fact(about: str, row: JurisdictionRow, at_s: int, lacks: str = "") -> Fact:
    scope = "" if row.scope == ALL else f", for operators certified for {row.scope}"
    return Fact(about, f"{row.code} is in {row.regime}{scope}", row.basis, lacks or _dates(row, at_s))


def _dates(row: DatedRow, at_s: int) -> str:
    begins, ends = (date_of(each).removesuffix(_MIDNIGHT) for each in (row.starts_at_s, row.expires_at_s))
    if at_s < row.starts_at_s:
        return f"NOT IN FORCE until {begins}"
    if at_s >= row.expires_at_s:
        return f"NOT IN FORCE since {ends}"
    return f"{begins} to {ends}"
