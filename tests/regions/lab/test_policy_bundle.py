"""A lab's bundle is a sound one, and says what the lab thinks that it says."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action
from regions.lab.policy_bundle import EVERYWHERE, LabPolicy, bundle_files, country_of, first_policy

pytestmark = pytest.mark.unit

REGIONS = ("west", "central", "east")
NOW_S = 1_800_000_000


def policy() -> LabPolicy:
    return first_policy(REGIONS, {"inner": ("west", "central")}, now_s=NOW_S, expires_in_s=600)


def agrees(said: LabPolicy, at_s: int) -> None:
    engine = ResidencyEngine(read_bundle(bundle_files(said)), at_s)
    for profile in said.lists:
        for region in REGIONS:
            for action in (Action.terminate, Action.relay, Action.process, Action.failover, Action.store_checkpoint):
                decision = engine.decide(
                    Question(Situation(profile, subject_countries=frozenset({"US"})), action, region)
                )
                assert decision.is_allowed is said.permits(profile, region, at_s), (profile, region, action, decision)


@pytest.mark.parametrize("after_s", [0, 299, 300, 599, 600])
def test_the_rules_come_to_what_the_lab_thinks(after_s: int) -> None:
    first = policy()
    agrees(first, NOW_S + after_s)
    agrees(first.with_row_end("central", NOW_S + 300), NOW_S + after_s)
    agrees(first.next(now_s=NOW_S).with_list("inner", ("east",)), NOW_S + after_s)


def test_lists_ends_and_versions_are_what_was_asked_for() -> None:
    first = policy()
    assert first.permits("inner", "central", NOW_S)
    assert not first.permits("inner", "east", NOW_S)
    assert first.permits(EVERYWHERE, "east", NOW_S)
    assert not first.permits("unheard-of", "west", NOW_S)
    ended = first.with_row_end("west", NOW_S + 5)
    assert [ended.permits("inner", "west", NOW_S + after_s) for after_s in (4, 5)] == [True, False]
    after = first.next(now_s=NOW_S + 7.9)
    assert (after.version, after.issued_at_s, after.lists) == (2, NOW_S + 7, first.lists)
    assert len({country_of(number) for number in range(8)}) == 8
