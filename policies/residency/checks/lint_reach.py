"""Regions that nobody may use, and projects that may use none: asked of the rules, as they stand at one instant. PURE.

Each is asked with the most favourable facts: the speaker is at home, agreed, and engines are reserved. What is refused
even then is always refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.residency.checks.lint_finding import Finding, Severity
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action, DataClass, LegalBasis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rows import Project

MAX_QUESTIONS = 20_000
"""Some seconds. A bundle that needs more is told so."""


def lint_reach(bundle: Bundle, *, now_s: int) -> Iterator[Finding]:
    """Findings about regions and projects. Nothing of an expired bundle, which permits nothing anyway."""
    if now_s >= bundle.expires_at_s:
        return
    asking = _Asking(ResidencyEngine(bundle, now_s))
    try:
        yield from _regions(bundle, asking)
        yield from _profiles(bundle, asking)
        yield from _projects(bundle, asking)
    except _TooMany:
        yield Finding(
            Severity.note, "reach-not-finished", "regions.toml",
            f"More than {MAX_QUESTIONS} questions would have to be asked: not all of them were.",
            "`patchbay policy matrix` asks them all.",
        )  # fmt: skip


def _regions(bundle: Bundle, asking: _Asking) -> Iterator[Finding]:
    projects = sorted(bundle.projects.values(), key=lambda project: project.project)
    for name in sorted(asking.engine.regions):
        home = frozenset({asking.engine.regions[name].country})
        whom = [
            *(Situation(profile, data_class=data_class, subject_countries=home, has_consent=True)
              for profile in sorted(bundle.profiles) for data_class in DataClass),
            *(_at_best(project, home) for project in projects),
        ]  # fmt: skip
        rules = asking.refused_by(whom, [name])
        if rules is None:
            continue
        laws = sorted(rule for rule in rules if bundle.rules[rule].is_statutory)
        yield Finding(
            Severity.note if laws else Severity.warning, "region-without-permit", f"regions.toml, {name}",
            f"No profile may have a session recognised there ({', '.join(laws) or 'no rule permits it'}).",
            "Nothing, if that is meant; or a country that is missing in jurisdictions.toml.",
        )  # fmt: skip


def _profiles(bundle: Bundle, asking: _Asking) -> Iterator[Finding]:
    homes = [(name, frozenset({facts.country})) for name, facts in sorted(asking.engine.regions.items())]
    for profile in sorted(bundle.profiles):
        projects = [project for project in bundle.projects.values() if project.profile == profile]
        is_somewhere = any(
            asking.refused_by([Situation(profile, "", data_class, home, has_consent=True)], [region]) is None
            for data_class in DataClass
            for region, home in homes
        ) or any(
            asking.refused_by([_at_best(project, home)], [region]) is None
            for project in projects
            for region, home in homes
        )
        if not is_somewhere:
            yield Finding(
                Severity.note, "profile-without-region", f"profiles.toml, {profile}",
                "No region of this bundle may recognise a session of it today.",
                "Nothing, if nobody is to have it yet.",
            )  # fmt: skip


def _projects(bundle: Bundle, asking: _Asking) -> Iterator[Finding]:
    for name, project in sorted(bundle.projects.items()):
        countries = {project.subject_country} if project.subject_country else {
            facts.country for facts in asking.engine.regions.values()
        }  # fmt: skip
        whom = [
            _at_best(project, frozenset({country})) for country in sorted(countries)
        ]  # fmt: skip
        rules = asking.refused_by(whom, sorted(asking.engine.regions))
        if rules is not None:
            yield Finding(
                Severity.error, "project-without-region", f"projects.toml, {name}",
                f"No region is left to it, so all it asks is refused ({', '.join(sorted(rules)) or 'no permit'}).",
                "Widen `only_regions` or `no_providers`, or give it another profile.",
            )  # fmt: skip


def _at_best(project: Project, subject_countries: frozenset[str]) -> Situation:
    return Situation(
        project.profile,
        project.project,
        project.data_class or DataClass.personal,
        subject_countries,
        has_consent=True,
        legal_basis=project.legal_basis or LegalBasis.unstated,
    )


class _TooMany(Exception):
    pass


class _Asking:
    def __init__(self, engine: ResidencyEngine) -> None:
        self.engine = engine
        self._asked = 0

    def refused_by(self, whom: Iterable[Situation], regions: Iterable[str]) -> set[str] | None:
        """The rules that refuse each of them everywhere, or else all that refuse any.

        None: somebody may have a session recognised somewhere.
        """
        rules: set[str] = set()
        common: set[str] | None = None
        regions = list(regions)
        for situation in whom:
            for region in regions:
                self._asked += 1
                if self._asked > MAX_QUESTIONS:
                    raise _TooMany
                decision = self.engine.decide(Question(situation, Action.process, region))
                if decision.is_allowed:
                    return None
                rules.update(decision.rules)
                common = set(decision.rules) if common is None else common & set(decision.rules)
        return common or rules
