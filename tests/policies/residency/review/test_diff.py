"""A diff lists every decision that changes, and no other."""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import seconds_of
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Question, Situation
from policies.residency.review.diff import Comparison, compare
from policies.residency.vocabulary import Action, DataClass, LegalBasis
from tests.harness.policy_bundles import changed_file, changed_rule, starter_files
from tests.harness.residency_bundle import NOON_S, project_row, region_row, residency_files, rule

if TYPE_CHECKING:
    from policies.residency.bundles.bundle import Bundle

pytestmark = pytest.mark.unit

SUNSET_S = seconds_of("2026-10-01T00:00:00Z")
AFTER_S = SUNSET_S + 86_400


def compared(before: Bundle, after: Bundle, **more: int | bool) -> Comparison:
    *_, found = compare(before, after, **{"from_s": NOON_S, "until_s": NOON_S + 3_600, **more})
    assert isinstance(found, Comparison)
    return found


def small(**changes: str) -> Bundle:
    return read_bundle(residency_files(**changes))


def test_a_bundle_does_not_differ_from_itself() -> None:
    found = compared(small(), small())
    assert (found.changed, found.same_answer) == ((), ())
    assert found.decisions > 0


def starter_checkpoint_is_allowed(who: str, data: DataClass, speaker: str, consent: bool, basis: LegalBasis) -> bool:
    """Whether a Norwegian region may keep a checkpoint under the starter set as it is: read from its rules by hand."""
    if data in (DataClass.phi, DataClass.government):  # F03; F05: nobody sovereign there
        return False
    if speaker == "unknown":  # F13, for restricted profiles; those that are not are counted by no test here
        return False
    if basis is LegalBasis.consent and not consent:  # F14
        return False
    if data is DataClass.minors and not consent:  # F18
        return False
    if who == "global" and data is DataClass.special_category and not consent:  # F21
        return basis is LegalBasis.vital_interests
    return True


def test_one_word_in_the_starter_set_changes_exactly_the_decisions_that_one_can_count_by_hand() -> None:
    """F08 with EU in place of EEA: checkpoints of speakers in the EU may not be kept in Norway any more."""
    files = starter_files()
    after = changed_rule(files, "F08", 'Asr::Jurisdiction::"EEA"', 'Asr::Jurisdiction::"EU"')
    at_s = seconds_of("2027-03-01T00:00:00Z")
    found = compared(read_bundle(files), read_bundle(after), from_s=at_s, until_s=at_s + 1)
    asked = (DataClass, ("EU",), (True, False), LegalBasis)
    of_profile = {
        who: sum(starter_checkpoint_is_allowed(who, *facts) for facts in product(*asked))
        for who in ("eea", "eu-adequacy", "global")
    }
    # Both regions of Norway for each of them; acme/branches alone has only Oslo on its list.
    eea_callers = ["eea", "acme/branches", "acme/nordic", "lawyers/depositions", "vault/interviews"]
    expected = {
        "eea": of_profile["eea"] * (2 * len(eea_callers) - 1),
        "eu-adequacy": of_profile["eu-adequacy"] * 2,
        "global": of_profile["global"] * 2,
    }
    counted: dict[str, int] = {}
    for line in found.changed:
        counted[line.who.profile] = counted.get(line.who.profile, 0) + line.count
    assert counted == expected
    assert (found.newly_allowed, found.no_longer_allowed) == (0, sum(expected.values())) == (0, 757)
    for line in found.changed:
        assert line.actions == {Action.store_checkpoint}
        assert line.regions <= {"no-oslo-1", "no-bergen-1"}
        assert line.values["speaker"] == {"EU (such as DE)"}
        assert line.after.rules == ("F08-checkpoints-of-eu-speakers-stay-in-eea",)


CHANGES = [
    {
        "more_rules": rule(
            "X",
            'permit (principal in Asr::Profile::"eea", action == Asr::Action::"process", '
            'resource in Asr::Jurisdiction::"US") unless { context.dataClass == Asr::DataClass::"minors" };',
        )
    },
    {"more_rules": rule("X", "forbid (principal, action, resource) when { context.isDraining };")},
    {"projects": project_row("acme/no-aws", "eu-strict", 'only_regions = ["us-east-1"]')},
]
FEW_REGIONS = region_row("eu-central-1", "DE", "Amazon") + region_row("us-east-1", "US", "Amazon")
FEW_PROJECTS = project_row("acme/no-aws", "eea", 'no_providers = ["aws"]')


def test_asking_everything_finds_the_same_as_asking_what_may_differ(is_long: bool) -> None:
    world = {} if is_long else {"regions": FEW_REGIONS, "projects": FEW_PROJECTS}
    for changes in CHANGES if is_long else CHANGES[:1]:
        before, after = small(**world), small(**{**world, **changes})
        quick, full = compared(before, after), compared(before, after, is_exhaustive=True)
        assert quick.changed
        assert [(line.who, line.actions, line.regions, line.values, line.count) for line in quick.changed] == [
            (line.who, line.actions, line.regions, line.values, line.count) for line in full.changed
        ]
        assert quick.asked < full.asked


def test_a_change_that_begins_later_says_when() -> None:
    files = residency_files()
    after = changed_rule(files, "F08", "2026-10-01", "2026-12-01")
    found = compared(read_bundle(files), read_bundle(after), until_s=AFTER_S)
    assert found.changed
    assert {line.periods for line in found.changed} == {((SUNSET_S, AFTER_S),)}
    assert all(line.is_wider and line.example_at_s == SUNSET_S for line in found.changed)


def test_a_new_reason_for_the_same_answer_is_told_apart() -> None:
    text = 'permit (principal in Asr::Profile::"eea", action == Asr::Action::"process", resource);'
    after = small(more_rules=rule("X", text))
    found = compared(small(), after)
    assert all(line.after.rules == ("X",) for line in found.changed)
    assert any(line.after.rules == ("P02-eea-in-eea", "X") for line in found.same_answer)


def test_a_region_that_comes_is_denied_before() -> None:
    files = residency_files()
    row = '[[rows]]\nregion = "eu-west-1"'
    gone = changed_file(files, "regions.toml", row, '[[rows]]\nregion = "eu-west-9"')
    found = compared(read_bundle(files), read_bundle(gone))
    assert {frozenset(line.regions) for line in found.changed} == {frozenset({"eu-west-1"}), frozenset({"eu-west-9"})}
    assert all(line.before.errors for line in found.changed if line.regions == {"eu-west-9"})


def test_that_a_bundle_expires_is_no_change() -> None:
    assert not compared(small(), small(expires_at="2026-02-01T00:00:00Z")).changed


IN_EU, IN_US = (f'context.subject.contains(Asr::Jurisdiction::"{area}")' for area in ("EU", "US"))
PERMIT = 'permit (principal in Asr::Profile::"eea", action == Asr::Action::"process", resource)'
FORBID = 'forbid (principal, action == Asr::Action::"process", resource)'


def test_what_changes_only_for_somebody_in_two_countries_at_once_is_found() -> None:
    """Each rule asks for one area alone, and nobody who is in one country may anything before or after."""
    forbid = rule("F", f"{FORBID} unless {{ {IN_US} }};")
    permit = rule("P", f"{PERMIT} when {{ {IN_EU} }};")
    found = compared(small(rules=forbid), small(rules=forbid + permit))
    assert found.newly_allowed > 0
    assert {frozenset(line.values["speaker"]) for line in found.changed} == {frozenset({"EU, US (such as DE and US)"})}


@pytest.mark.parametrize("seed", range(4))
def test_rules_made_by_chance_differ_where_asking_one_by_one_says_so(seed: int, is_long: bool) -> None:
    dice = random.Random(seed)
    for _ in range(60 if is_long else 5):
        before, after = (small(rules=_rules_by_chance(dice)) for _ in range(2))
        found = compared(before, after)
        engines = [ResidencyEngine(bundle, NOON_S) for bundle in (before, after)]
        wider = narrower = False
        for countries in ([], ["DE"], ["US"], ["BR"], ["NO"], ["DE", "US"], ["NO", "US"]):
            for data_class, consent, region in product(
                (DataClass.personal, DataClass.minors), (True, False), ("eu-central-1", "us-east-1")
            ):
                situation = Situation("eea", "", data_class, frozenset(countries), has_consent=consent)
                old, new = (engine.decide(Question(situation, Action.process, region)).is_allowed for engine in engines)
                wider, narrower = wider or (new and not old), narrower or (old and not new)
        assert not wider or found.newly_allowed
        assert not narrower or found.no_longer_allowed


def _rules_by_chance(dice: random.Random) -> str:
    conditions = [
        IN_EU, IN_US, f"!{IN_EU}", "context.hasConsent", 'context.dataClass == Asr::DataClass::"minors"',
        'resource in Asr::Jurisdiction::"EU"', "!context.subjectKnown", f"({IN_EU} && {IN_US})",
    ]  # fmt: skip
    made = []
    for number in range(dice.randint(1, 4)):
        kind = dice.choice(["when", "unless"])
        asked = f" {dice.choice(['&&', '||'])} ".join(dice.sample(conditions, 2)) if dice.random() < 0.4 else None
        head = dice.choice([PERMIT, FORBID])
        made.append(rule(f"R{number}", f"{head} {kind} {{ {asked or dice.choice(conditions)} }};"))
    return "".join(made)
