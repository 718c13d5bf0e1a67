"""A table says what its engine says, asks it once, and forgets in good order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Question, Situation
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action, DataClass, Trigger
from policies.routing_facts import CapacityClass
from tests.harness.residency_bundle import NOON_S, residency_files, rule

pytestmark = pytest.mark.unit

ENGINE = ResidencyEngine(read_bundle(residency_files()), NOON_S)
GERMAN = frozenset({"DE"})
STRICT = Situation("eu-strict", "acme/calls", subject_countries=GERMAN)
EU = frozenset({"eu-central-1", "eu-west-1", "eu-sovereign-1"})
HERE = "eu-central-1"


def table_of(more_rules: str = "") -> DecisionTable:
    """With knobs for what rules forbid beside those that there are."""
    if not more_rules:
        return DecisionTable(ENGINE)
    return DecisionTable(ResidencyEngine(read_bundle(residency_files(more_rules=more_rules)), NOON_S))


def forbid(actions: str, condition: str) -> str:
    names = ", ".join(f'Asr::Action::"{action}"' for action in actions.split())
    return rule("X", f"forbid (principal, action in [{names}], resource) when {{ {condition} }};")


MOVES = (Trigger.failover, Trigger.drain, Trigger.rebalance)
WEST = 'resource == Asr::Region::"eu-west-1"'

situations = st.builds(
    Situation,
    profile=st.sampled_from(["eu-strict", "eea", "global", "us-health"]),
    project=st.just(""),
    data_class=st.sampled_from([DataClass.public, DataClass.phi]),
    subject_countries=st.frozensets(st.sampled_from(["DE", "FR", "NO", "US", "BR"]), max_size=2),
    has_consent=st.booleans(),
)
questions = st.builds(
    Question,
    situation=situations,
    action=st.sampled_from(Action),
    region=st.sampled_from([*ENGINE.regions, "mars-1"]),
    capacity=st.sampled_from(CapacityClass),
    trigger=st.sampled_from(Trigger),
    is_draining=st.booleans(),
    has_break_glass=st.booleans(),
)


@settings(max_examples=20)
@given(asked=st.lists(questions, min_size=1, max_size=8), size=st.integers(1, 3))
def test_a_table_says_what_its_engine_says_however_little_it_remembers(asked: list[Question], size: int) -> None:
    table = DecisionTable(ENGINE, max_situations=size)
    for question in [*asked, *asked]:
        assert table.decide(question) == ENGINE.decide(question)
        assert len(table.situations()) <= size


@settings(max_examples=8)
@given(situation=situations, here=st.sampled_from(list(ENGINE.regions)))
def test_what_is_permitted_is_exactly_what_single_decisions_come_to(situation: Situation, here: str) -> None:
    permitted = DecisionTable(ENGINE).permitted(situation, ENGINE.regions, here=here)

    def may(action: Action, region: str, capacity: CapacityClass = CapacityClass.reserved) -> bool:
        triggers = [Trigger.initial] if action is not Action.failover else MOVES
        return all(ENGINE.decide(Question(situation, action, region, capacity, one)).is_allowed for one in triggers)

    for region in ENGINE.regions:
        assert (region in permitted.terminate) == may(Action.terminate, region)
        assert (region in permitted.checkpoint) == may(Action.store_checkpoint, region)
        is_reached = region == here or may(Action.relay, region)
        for names, action in ((permitted.process, Action.process), (permitted.failover, Action.failover)):
            for capacity in CapacityClass:
                is_used = region in names and capacity in permitted.classes_in(region)
                assert is_used == (is_reached and may(action, region, capacity))


def test_a_question_goes_to_the_engine_once() -> None:
    table = DecisionTable(ENGINE)
    question = Question(STRICT, Action.process, HERE)
    assert not table.has(question)
    first = table.decide(question)
    assert table.has(question)
    assert table.decide(question) is first
    assert table.cold_count == 1
    assert not table.has(replace(question, action=Action.relay))
    assert not table.has(replace(question, is_draining=True))


def test_speakers_whom_the_same_regimes_protect_are_asked_about_once() -> None:
    table = DecisionTable(ENGINE)
    german, french, norwegian = (Situation("eea", subject_countries=frozenset({code})) for code in ("DE", "FR", "NO"))
    table.decide(Question(german, Action.process, HERE))
    assert table.has(Question(french, Action.process, HERE))
    assert table.has(Question(norwegian, Action.process, HERE)) == (ENGINE.areas_asked(["NO"]) == {"EU"})
    assert not table.has(Question(Situation("eea"), Action.process, HERE))
    assert table.situations() == (german,)


ASKING = DecisionTable(
    ResidencyEngine(
        read_bundle(
            residency_files(
                more_rules=rule("A1", f"forbid (principal, action, resource) when {{ {WEST} && context.isDraining }};")
                + rule(
                    "A2",
                    'forbid (principal, action == Asr::Action::"relay", resource) '
                    'when { context has trigger && context.trigger == Asr::Trigger::"drain" };',
                )
                + rule(
                    "A3",
                    "forbid (principal, action, resource) "
                    'when { action == Asr::Action::"terminate" && context.capacity == Asr::Capacity::"spot" };',
                )
            )
        ),
        NOON_S,
    )
)


@settings(max_examples=40)
@given(question=questions)
def test_facts_that_no_rule_asks_change_nothing_and_all_others_do(question: Question) -> None:
    """The table is never emptied here, so a question answers others if it is thought to be like them."""
    assert ASKING.decide(question) == ASKING.engine.decide(question)


def test_a_fact_is_idle_only_for_actions_whose_rules_do_not_ask_it() -> None:
    def idle(action: Action) -> tuple[object, ...]:
        question = Question(
            STRICT, action, HERE, CapacityClass.spot, Trigger.drain, is_draining=True, has_break_glass=True
        )
        return ASKING.engine.without_idle_facts(question)

    assert idle(Action.relay) == (CapacityClass.spot, Trigger.drain, True, False)
    assert idle(Action.process) == (CapacityClass.spot, Trigger.initial, True, False)
    assert idle(Action.support_access) == (CapacityClass.spot, Trigger.initial, True, True)
    assert DecisionTable(ENGINE).engine.without_idle_facts(
        Question(STRICT, Action.relay, HERE, CapacityClass.spot)
    ) == (
        CapacityClass.reserved,
        Trigger.initial,
        False,
        False,
    )


def test_what_is_unknown_is_denied_and_not_remembered() -> None:
    table = DecisionTable(ENGINE)
    for number in range(3):
        assert not table.decide(Question(STRICT, Action.process, f"mars-{number}")).is_allowed
        assert not table.has(Question(STRICT, Action.process, f"mars-{number}"))
    assert table.permitted(STRICT, ["mars-1", HERE], here=HERE).process == {HERE}


def test_the_situation_not_asked_about_for_longest_is_forgotten() -> None:
    table = DecisionTable(ENGINE, max_situations=2)
    first, second, third = (Situation(profile) for profile in ("eea", "global", "eu-strict"))
    for situation in (first, second, first, third):
        table.decide(Question(situation, Action.process, HERE))
    assert table.situations() == (first, third)
    assert not table.has(Question(second, Action.process, HERE))


def test_sets_are_made_once_and_then_looked_up() -> None:
    table = DecisionTable(ENGINE)
    permitted = table.permitted(STRICT, list(ENGINE.regions), here=HERE)
    assert permitted == Permitted(EU, EU, EU, EU, {})
    asked = table.cold_count
    assert table.permitted(STRICT, reversed(list(ENGINE.regions)), here=HERE) is permitted
    assert table.permitted(STRICT, [HERE], here=HERE).process == {HERE}
    assert table.cold_count == asked
    for number in range(100):
        table.permitted(STRICT, [HERE, f"mars-{number}"], here=HERE)
    assert table.permitted(STRICT, ENGINE.regions, here=HERE) == permitted


def test_filling_takes_one_question_a_step_and_leaves_nothing_to_ask() -> None:
    table = DecisionTable(ENGINE)
    wanted = list(table.questions_of(STRICT, ENGINE.regions, HERE))
    for steps, _ in enumerate(table.fill(wanted), 1):
        assert table.cold_count == steps
    assert all(map(table.has, wanted))
    asked = table.cold_count
    table.permitted(STRICT, ENGINE.regions, here=HERE)
    assert table.cold_count == asked
    assert list(table.fill(wanted)) == []


def test_a_new_table_is_filled_with_what_the_old_one_was_asked() -> None:
    old, new = DecisionTable(ENGINE), DecisionTable(ENGINE)
    old.permitted(STRICT, ENGINE.regions, here=HERE)
    for situation in old.situations():
        for _ in new.fill(new.questions_of(situation, ENGINE.regions, HERE)):
            pass
    asked = new.cold_count
    assert new.permitted(STRICT, ENGINE.regions, here=HERE) == old.permitted(STRICT, ENGINE.regions, here=HERE)
    assert new.cold_count == asked


def test_elsewhere_than_here_a_relay_must_be_permitted_too() -> None:
    table = table_of(forbid("relay", WEST))
    permitted = table.permitted(STRICT, EU, here=HERE)
    assert permitted.process == permitted.failover == EU - {"eu-west-1"}
    assert permitted.terminate == permitted.checkpoint == EU
    assert table.permitted(STRICT, EU, here="eu-west-1").process == EU


def test_each_set_has_decisions_of_its_own() -> None:
    for action, sets in {
        "terminate": ("process", "failover", "checkpoint"),
        "process": ("terminate", "failover", "checkpoint"),
        "failover": ("terminate", "process", "checkpoint"),
        "store_checkpoint": ("terminate", "process", "failover"),
    }.items():
        permitted = table_of(forbid(action, WEST)).permitted(STRICT, EU, here=HERE)
        found = {
            name
            for name in ("terminate", "process", "failover", "checkpoint")
            if "eu-west-1" in getattr(permitted, name)
        }
        assert found == set(sets)


def test_classes_are_named_where_not_all_are_permitted() -> None:
    spot = 'context.capacity == Asr::Capacity::"spot"'
    reserved = 'context.capacity == Asr::Capacity::"reserved"'
    only_reserved = table_of(forbid("process failover", f"{WEST} && {spot}")).permitted(STRICT, EU, here=HERE)
    assert only_reserved.classes == {"eu-west-1": {CapacityClass.reserved}}
    assert only_reserved.process == EU
    of_both = table_of(forbid("failover", f"{WEST} && {spot}")).permitted(STRICT, EU, here=HERE)
    assert of_both.classes == {"eu-west-1": {CapacityClass.reserved}}
    contrary = forbid("failover", f"{WEST} && {spot}") + forbid("process", f"{WEST} && {reserved}").replace(
        '"X"', '"Y"'
    )
    permitted = table_of(contrary).permitted(STRICT, EU, here=HERE)
    assert permitted.classes == {"eu-west-1": {CapacityClass.spot}}
    assert (permitted.process, permitted.failover) == (EU, EU - {"eu-west-1"})


@pytest.mark.parametrize("trigger", MOVES)
@pytest.mark.parametrize("action", ["failover", "relay"])
def test_a_session_goes_on_only_where_every_reason_for_a_move_permits_it(action: str, trigger: Trigger) -> None:
    table = table_of(forbid(action, f'{WEST} && context.trigger == Asr::Trigger::"{trigger}"'))
    permitted = table.permitted(STRICT, EU, here=HERE)
    assert (permitted.process, permitted.failover) == (EU, EU - {"eu-west-1"})


def test_an_emergency_is_a_set_of_its_own() -> None:
    table = table_of(forbid("process", f"{WEST} && !context.hasBreakGlass"))
    assert table.permitted(STRICT, EU, here=HERE).process == EU - {"eu-west-1"}
    assert table.permitted(STRICT, EU, here=HERE, has_break_glass=True).process == EU
