"""Callers that nobody would think of: where they say they are, what they speak about, whose they are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass
from tests.proof.bundles import COUNTRIES


def some_situation(dice: random.Random, profiles: Sequence[str], projects: Mapping[str, str]) -> Situation:
    """Of a project of the bundle, of a profile alone, and now and then of neither. `projects`: their profiles."""
    project, profile = "", dice.choice(profiles)
    roll = dice.random()
    if roll < 0.5 and projects:
        project = dice.choice(sorted(projects))
        profile = projects[project]
    elif roll < 0.53:
        project = "org-0/of-nobody"
    elif roll < 0.56:
        profile = dice.choice(("", "of-nobody"))
    countries = dice.sample(COUNTRIES, dice.choice((0, 1, 1, 1, 2)))
    return Situation(
        profile=profile,
        project=project,
        data_class=dice.choice((DataClass.personal, DataClass.personal, *DataClass)),
        subject_countries=frozenset(countries),
        has_consent=dice.random() < 0.6,
        legal_basis=dice.choice((LegalBasis.contract, LegalBasis.contract, *LegalBasis)),
    )


def some_question(dice: random.Random, situation: Situation, regions: Sequence[str]) -> Question:
    return Question(
        situation,
        dice.choice(list(Action)),
        dice.choice(regions) if dice.random() < 0.98 else "atlantis-1",
        dice.choice(list(CapacityClass)),
        dice.choice(list(Trigger)),
        is_draining=dice.random() < 0.3,
        has_break_glass=dice.random() < 0.3,
    )
