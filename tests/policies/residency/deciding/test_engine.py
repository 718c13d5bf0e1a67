"""Anything but a clean allow is a deny, and what is said holds for all of the stretch that is named."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.bundles.cedar_names import action_uid, generic_project, uid
from policies.residency.bundles.instants import FAR_S, seconds_of, text_of
from policies.residency.deciding import engine as engine_module
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.entities import areas_at, profile_entity, project_entity, region_entity, regions_at
from policies.residency.decision import Decision, Question, Situation
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger, Verdict
from policies.routing_facts import CapacityClass
from tests.harness.residency_bundle import (
    NOON_S,
    OPERATORS,
    REGIONS,
    jurisdiction_row,
    operator_row,
    project_row,
    region_row,
    residency_files,
    rule,
)

pytestmark = pytest.mark.unit

BUNDLE = read_bundle(residency_files())
ENGINE = ResidencyEngine(BUNDLE, NOON_S)
GERMAN = frozenset({"DE"})
STRICT = Situation("eu-strict", "acme/calls", subject_countries=GERMAN)
GLOBAL = Situation("global", subject_countries=GERMAN)


def engine_of(at_s: int = NOON_S, **knobs: str) -> ResidencyEngine:
    return ResidencyEngine(read_bundle(residency_files(**knobs)), at_s)  # type: ignore[arg-type]


def asked(situation: Situation, region: str, action: Action = Action.process, **facts: object) -> Question:
    return Question(situation, action, region, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "decision"),
    [
        (asked(STRICT, "eu-central-1"), Decision(Verdict.allow, ("P01-eu-in-eu",))),
        (asked(STRICT, "no-east-1"), Decision(Verdict.deny)),
        (asked(GLOBAL, "no-east-1"), Decision(Verdict.allow, ("P03-global",))),
        (asked(GLOBAL, "kp-1"), Decision(Verdict.deny, ("F01-embargo",))),
        (
            asked(GLOBAL, "us-east-1", Action.store_checkpoint),
            Decision(Verdict.deny, ("F07-no-checkpoints-outside-eea",)),
        ),
        (asked(GLOBAL, "us-east-1", is_draining=True), Decision(Verdict.deny, ("F06-nothing-new-while-draining",))),
        (asked(GLOBAL, "us-east-1", Action.failover, is_draining=True), Decision(Verdict.allow, ("P03-global",))),
        (asked(GLOBAL, "us-east-1", Action.support_access), Decision(Verdict.deny)),
        (
            asked(GLOBAL, "us-east-1", Action.support_access, has_break_glass=True),
            Decision(Verdict.allow, ("P06-support",)),
        ),
        (asked(GLOBAL, "kp-1", Action.support_access, has_break_glass=True), Decision(Verdict.deny, ("F01-embargo",))),
        (asked(Situation("eu-strict"), "eu-central-1"), Decision(Verdict.deny, ("F09-restricted-needs-subject",))),
        (
            asked(Situation("eea", "acme/one-region"), "eu-central-1"),
            Decision(Verdict.deny, ("F04-only-regions",)),
        ),
        (asked(Situation("eea", "acme/one-region"), "no-east-1"), Decision(Verdict.allow, ("P02-eea-in-eea",))),
        (asked(Situation("eea", "acme/no-aws"), "eu-central-1"), Decision(Verdict.deny, ("F05-no-providers",))),
    ],
)
def test_a_question_is_answered_with_the_rules_that_decided(question: Question, decision: Decision) -> None:
    assert ENGINE.decide(question) == decision


@pytest.mark.parametrize(
    ("capacity", "rules"),
    [(CapacityClass.reserved, ("P04-health-in-us",)), (CapacityClass.spot, ("F02-no-spot-for-phi",))],
)
def test_capacity_counts(capacity: CapacityClass, rules: tuple[str, ...]) -> None:
    situation = Situation("us-health", "clinic/notes", DataClass.phi, frozenset({"US"}))
    assert ENGINE.decide(asked(situation, "us-east-1", capacity=capacity)).rules == rules


def test_all_rules_that_decided_are_named_in_order() -> None:
    situation = Situation("global", data_class=DataClass.phi)
    question = asked(situation, "kp-1", capacity=CapacityClass.spot)
    assert ENGINE.decide(question).rules == ("F01-embargo", "F02-no-spot-for-phi", "F03-phi-needs-baa")


def test_a_forbid_that_fails_does_not_open_the_fence() -> None:
    """Cedar leaves a rule out that cannot be evaluated, and so allows."""
    broken = rule("F99-broken", "forbid (principal, action, resource) when { 9223372036854775807 + 1 == 0 };")
    engine = engine_of(more_rules=broken)
    decision = engine.decide(asked(STRICT, "eu-central-1"))
    assert decision.verdict is Verdict.deny
    assert decision.rules == ()
    assert not decision.is_allowed
    assert any("`F99-broken`" in error and "policy" not in error.split("`")[1] for error in decision.errors)
    assert decision.errors[-1] == "allowed by P01-eu-in-eu in spite of errors"


def test_cedar_itself_would_have_allowed_that_and_needs_the_schema_to_notice_missing_facts() -> None:
    """The traps are still there: this fails when Cedar changes, and then the wrapper may be simpler."""
    entities = json.dumps([profile_entity(BUNDLE.profiles["global"]), region_entity(ENGINE.regions["kp-1"])])
    request = {
        "principal": uid("Project", generic_project("global")),
        "action": action_uid(Action.process),
        "resource": uid("Region", "kp-1"),
        "context": {},
    }
    rules = cedarpy.PolicySet.from_str(
        "permit (principal, action, resource);"
        "forbid (principal, action, resource) when { context.isDraining == false };"
    )
    handle = cedarpy.Entities.from_json_str(entities, BUNDLE.cedar_schema)
    without = cedarpy.is_authorized(request, rules, handle)
    assert (without.allowed, bool(without.diagnostics.errors)) == (True, True)
    assert cedarpy.is_authorized(request, rules, handle, BUNDLE.cedar_schema).decision is cedarpy.Decision.NoDecision


@pytest.mark.parametrize(
    ("situation", "region", "said"),
    [
        (Situation(""), "eu-central-1", "the session has no residency profile"),
        (Situation("", "acme/calls"), "eu-central-1", "the session has no residency profile"),
        (Situation("eu-strictt"), "eu-central-1", "unknown profile 'eu-strictt'"),
        (Situation("eu-strict", "acme/nobody"), "eu-central-1", "unknown project 'acme/nobody'"),
        (Situation("eu-strict", "profile:eu-strict"), "eu-central-1", "unknown project 'profile:eu-strict'"),
        (
            Situation("global", "acme/calls"),
            "eu-central-1",
            "project 'acme/calls' has profile 'eu-strict', not 'global'",
        ),
        (Situation("eu-strict"), "mars-1", "unknown region 'mars-1'"),
        (Situation("eu-strict"), 'x"', "unknown region 'x\"'"),
    ],
)
def test_what_the_bundle_does_not_know_is_denied_though_everybody_is_permitted(
    situation: Situation, region: str, said: str
) -> None:
    assert ENGINE.decide(asked(situation, region, Action.replicate_meter)) == Decision(Verdict.deny, errors=(said,))


@pytest.mark.parametrize(
    "question",
    [
        asked(replace(STRICT, data_class="PHI"), "eu-central-1"),  # type: ignore[arg-type]
        asked(replace(STRICT, legal_basis="whim"), "eu-central-1"),  # type: ignore[arg-type]
        asked(STRICT, "eu-central-1", "fly"),  # type: ignore[arg-type]
        asked(STRICT, "eu-central-1", trigger="now"),
        asked(STRICT, "eu-central-1", capacity=None),
    ],
)
def test_a_question_in_unknown_words_is_no_decision_and_so_a_deny(question: Question) -> None:
    decision = ENGINE.decide(question)
    assert decision.verdict is Verdict.no_decision
    assert decision.errors
    assert not decision.is_allowed


@pytest.mark.parametrize(
    ("at_s", "said"),
    [
        (seconds_of("2025-12-31T23:59:59Z"), "bundle test 1 is not in force yet"),
        (seconds_of("2027-01-01T00:00:00Z"), "bundle test 1 has expired"),
        (-5, "bundle test 1 is not in force yet"),
        (FAR_S + 9, "bundle test 1 has expired"),
    ],
)
def test_outside_its_dates_a_bundle_allows_nothing(at_s: int, said: str) -> None:
    engine = ResidencyEngine(BUNDLE, at_s)
    assert engine.decide(asked(STRICT, "eu-central-1")) == Decision(Verdict.deny, errors=(said,))
    assert engine.until_s > at_s or at_s >= FAR_S


def test_a_region_whose_operator_is_still_given_notice_is_denied() -> None:
    dates = "effective_from = 2026-05-20T00:00:00Z\nexpires_at = 2028-01-01T00:00:00Z\n"
    dates += "notice_given_at = 2026-05-20T00:00:00Z\nnotice_days = 30\n"
    knobs = {
        "operators": OPERATORS + operator_row("New", "azure", "", dates),
        "regions": REGIONS + region_row("new-1", "DE", "New"),
    }
    question = asked(STRICT, "new-1")
    assert engine_of(NOON_S, **knobs).decide(question).errors == ("unknown region 'new-1'",)
    assert engine_of(seconds_of("2026-06-19T00:00:00Z"), **knobs).decide(question).is_allowed


def test_speakers_are_protected_by_the_regimes_of_all_their_countries() -> None:
    assert ENGINE.areas_of(["DE"]) == {"EU", "EEA"}
    assert ENGINE.areas_of(["NO", "US"]) == {"EEA", "US"}
    assert ENGINE.areas_of(["XX"]) == ENGINE.areas_of([]) == set()


def test_regimes_that_no_rule_looks_for_are_not_told_and_where_one_may_all_are() -> None:
    assert ENGINE.areas_asked(["DE"]) == {"EU"}
    assert ENGINE.areas_asked(["NO", "US"]) == set()
    nosy = engine_of(more_rules=rule("N", "forbid (principal, action, resource) when { context.subject.isEmpty() };"))
    assert nosy.areas_asked(["DE"]) == {"EU", "EEA"}
    assert nosy.decide(asked(GLOBAL, "eu-central-1")).is_allowed
    assert nosy.decide(asked(Situation("global"), "eu-central-1")).rules == ("N",)


def test_a_thread_of_its_own_may_read_and_make_an_engine() -> None:
    made: list[Decision] = []

    def work() -> None:
        bundle = read_bundle(residency_files(), release_gil=True)
        made.append(ResidencyEngine(bundle, NOON_S, release_gil=True).decide(asked(STRICT, "eu-central-1")))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=30)
    assert made == [ENGINE.decide(asked(STRICT, "eu-central-1"))]


def test_entities_of_few_projects_are_held_and_the_others_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_PROJECTS_HELD", 2)
    projects = "".join(project_row(f"acme/p{number}", "eea", 'only_regions = ["no-east-1"]') for number in range(5))
    engine = engine_of(projects=projects)
    for _ in range(2):
        for number in range(5):
            situation = Situation("eea", f"acme/p{number}")
            assert engine.decide(asked(situation, "no-east-1")).is_allowed
            assert engine.decide(asked(situation, "eu-central-1")).rules == ("F04-only-regions",)


def test_a_date_changes_the_decision_at_its_very_second() -> None:
    sunset = seconds_of("2026-10-01T00:00:00Z")
    question = asked(GLOBAL, "us-east-1")
    before, after = ResidencyEngine(BUNDLE, sunset - 1), ResidencyEngine(BUNDLE, sunset)
    assert before.decide(question).is_allowed
    assert after.decide(question).rules == ("F08-us-sunset",)
    assert (before.until_s, after.from_s) == (sunset, sunset)
    assert before.holds_at(sunset - 0.001)
    assert not before.holds_at(sunset)
    assert after.holds_at(sunset)


_DATES = [seconds_of(f"2026-0{month}-01T00:00:00Z") for month in range(2, 8)]


def _dated_files() -> dict[str, bytes]:
    comparisons = zip([">=", ">", "<", "<=", "==", "!="], _DATES, strict=True)
    more_rules = "".join(
        rule(
            f"D{number}",
            f'forbid (principal, action == Asr::Action::"{action}", resource) '
            f'when {{ context.now {sign} datetime("{text_of(at_s)}") }};',
        )
        for number, ((sign, at_s), action) in enumerate(
            zip(
                comparisons,
                ["terminate", "relay", "process", "failover", "store_checkpoint", "replicate_meter"],
                strict=True,
            )
        )
    )

    def between(begin_s: int, end_s: int) -> str:
        return f"effective_from = {text_of(begin_s)}\nexpires_at = {text_of(end_s)}\n"

    first, second, third, fourth, *_ = _DATES
    return residency_files(
        more_rules=more_rules,
        jurisdictions=jurisdiction_row("EU", "DE", "all", between(first, third))
        + jurisdiction_row("EEA", "DE", "hipaa-baa", between(second, fourth)),
        operators=OPERATORS
        + operator_row(
            "Late",
            "azure",
            "",
            between(first, fourth + 86_400) + f"notice_given_at = {text_of(first)}\nnotice_days = 45\n",
        ),
        regions=region_row("r", "DE", "Amazon", "", between(first, second))
        + region_row("r", "DE", "Microsoft", "", between(second, fourth))
        + region_row("s", "DE", "Late")
        + region_row("t", "DE", "Amazon"),
        projects=project_row("acme/p", "eea", 'no_providers = ["azure"]'),
    )


DATED = read_bundle(_dated_files())


def plainly(bundle: Bundle, question: Question, at_s: int) -> tuple[str, tuple[str, ...]]:
    """What Cedar says with the entities and the clock of that very second, everything parsed anew."""
    regions = regions_at(bundle, at_s, areas_at(bundle, at_s))
    if question.region not in regions or not bundle.issued_at_s <= at_s < bundle.expires_at_s:
        return "Deny", ()
    situation = question.situation
    subject = {row.regime for row in bundle.jurisdictions if row.scope == "all" and row.in_force_at(at_s)} & {
        row.regime for row in bundle.jurisdictions if row.code in situation.subject_countries and row.in_force_at(at_s)
    }
    entities = [region_entity(facts) for facts in regions.values()]
    entities += [profile_entity(profile) for profile in bundle.profiles.values()]
    entities += [project_entity(row, bundle.profiles[row.profile]) for row in bundle.projects.values()]
    request = {
        "principal": uid("Project", situation.project or generic_project(situation.profile)),
        "action": action_uid(question.action),
        "resource": uid("Region", question.region),
        "context": {
            "now": text_of(at_s),
            "dataClass": uid("DataClass", situation.data_class),
            "subject": [uid("Jurisdiction", name) for name in subject],
            "subjectKnown": bool(situation.subject_countries),
            "hasConsent": situation.has_consent,
            "legalBasis": uid("LegalBasis", situation.legal_basis),
            "capacity": uid("Capacity", question.capacity),
            "trigger": uid("Trigger", question.trigger),
            "isDraining": question.is_draining,
            "hasBreakGlass": question.has_break_glass,
        },
    }
    handle = cedarpy.Entities.from_json_str(json.dumps(entities), bundle.cedar_schema)
    answer = cedarpy.is_authorized(request, bundle.cedar_rules, handle, bundle.cedar_schema)
    assert not answer.diagnostics.errors
    return str(answer.decision.name), tuple(sorted(bundle.rule_ids[number] for number in answer.diagnostics.reasons))


questions = st.builds(
    Question,
    situation=st.builds(
        Situation,
        profile=st.just("eea"),
        project=st.sampled_from(["", "acme/p"]),
        data_class=st.sampled_from(DataClass),
        subject_countries=st.frozensets(st.sampled_from(["DE", "US"])),
        has_consent=st.booleans(),
        legal_basis=st.sampled_from(LegalBasis),
    ),
    action=st.sampled_from(Action),
    region=st.sampled_from(["r", "s", "t"]),
    capacity=st.sampled_from(CapacityClass),
    trigger=st.sampled_from(Trigger),
    is_draining=st.booleans(),
    has_break_glass=st.booleans(),
)
near_dates = st.builds(
    int.__add__, st.sampled_from(DATED.instants()), st.integers(-2, 2) | st.integers(-4_000_000, 4_000_000)
)


@settings(max_examples=50)
@given(at_s=near_dates, question=questions, share=st.floats(0, 1))
def test_a_decision_holds_for_every_second_of_the_stretch_that_the_engine_names(
    at_s: int, question: Question, share: float
) -> None:
    engine = ResidencyEngine(DATED, at_s)
    assert engine.from_s <= at_s < engine.until_s
    decision = engine.decide(question)
    length_s = min(engine.until_s - engine.from_s, 10**8)
    for within_s in {at_s, engine.from_s, engine.from_s + int(share * (length_s - 1)), engine.from_s + length_s - 1}:
        other = ResidencyEngine(DATED, within_s)
        assert (other.from_s, other.until_s) == (engine.from_s, engine.until_s)
        assert (decision.verdict.value, decision.rules) == plainly(DATED, question, within_s)


def test_the_bundle_of_that_property_changes_at_its_dates() -> None:
    assert len(DATED.instants()) >= 15
    engines = [ResidencyEngine(DATED, at_s) for at_s in _DATES]
    assert {engine.regions["r"].operator if "r" in engine.regions else "" for engine in engines} == {
        "",
        "Amazon",
        "Microsoft",
    }
