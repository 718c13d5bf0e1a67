"""A scenario table becomes questions, or a list of every mistake in it."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.checks.scenario_file import Check, ScenariosRefused, read_scenarios
from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action, DataClass, Trigger
from policies.routing_facts import CapacityClass
from tests.harness.residency_bundle import residency_files

pytestmark = pytest.mark.unit

AT = "at: 2026-06-01T12:00:00Z\nscenarios:\n"
WHOLE = (
    "{name: a, profile: eea, subject: [DE], action: process, region: no-east-1, expect: allow, rule: P02-eea-in-eea}"
)


def bundle_with(table: str, **changes: str) -> Bundle:
    return read_bundle(residency_files(more_files=[("scenarios/a.yaml", table.encode())], **changes))


def checks_of(table: str) -> list[Check]:
    return [check for scenario in read_scenarios(bundle_with(table)) for check in scenario.checks]


def mistakes_of(table: str) -> list[str]:
    with pytest.raises(ScenariosRefused) as refused:
        read_scenarios(bundle_with(table))
    return refused.value.mistakes


def test_a_scenario_is_a_question_with_what_must_come_of_it() -> None:
    (check,) = checks_of(
        AT + "  - name: one\n    profile: eea\n    subject: [DE]\n    seen_in: NO\n    consent: true\n"
        "    data_class: phi\n    action: failover\n    trigger: failover\n    capacity: spot\n    draining: true\n"
        "    break_glass: true\n    region: no-east-1\n    expect: deny\n"
        "    rule: [F02-no-spot-for-phi, F03-phi-needs-baa]\n"
    )
    assert check == Check(
        scenario="one",
        place="scenarios/a.yaml line 3",
        at_s=1_780_315_200,
        question=Question(
            Situation("eea", "", DataClass.phi, frozenset({"DE", "NO"}), has_consent=True),
            Action.failover,
            "no-east-1",
            CapacityClass.spot,
            Trigger.failover,
            is_draining=True,
            has_break_glass=True,
        ),
        conflict="",
        is_allowed=False,
        rules=frozenset({"F02-no-spot-for-phi", "F03-phi-needs-baa"}),
        error="",
    )


def test_lists_of_actions_and_regions_mean_each_of_them() -> None:
    checks = checks_of(
        AT + "  - {name: a, profile: eea, subject: [DE], action: [process, relay], region: [no-east-1, eu-west-1], "
        "expect: allow, rule: P02-eea-in-eea}"
    )
    assert [(check.question.action, check.question.region) for check in checks if check.question] == [
        (Action.process, "no-east-1"), (Action.process, "eu-west-1"),
        (Action.relay, "no-east-1"), (Action.relay, "eu-west-1"),
    ]  # fmt: skip


def test_steps_take_what_their_scenario_says_and_go_over_it() -> None:
    first, second = checks_of(
        AT + "  - name: a\n    profile: eea\n    subject: [DE]\n    action: process\n    expect: deny\n    rule: none\n"
        "    steps:\n      - {region: us-east-1}\n      - {region: us-east-1, project: acme/calls, at: 2026-07-01}\n"
    )
    assert first.question is not None
    assert second.question is not None
    assert (first.question.situation.profile, first.question.situation.project) == ("eea", "")
    assert (second.question.situation.profile, second.question.situation.project) == ("eu-strict", "acme/calls")
    assert second.at_s - first.at_s == 29 * 86_400 + 43_200
    assert second.rules == frozenset()


def test_a_project_brings_what_its_row_says() -> None:
    (check,) = checks_of(
        AT + "  - {name: a, project: clinic/notes, action: process, region: us-east-1, expect: allow, "
        "rule: P04-health-in-us}"
    )
    assert check.question is not None
    assert check.question.situation == Situation("us-health", "clinic/notes", DataClass.phi, frozenset({"US"}))


def test_a_contradiction_is_a_check_of_its_own() -> None:
    (check,) = checks_of(
        AT + "  - {name: a, project: clinic/notes, data_class: minors, action: process, region: us-east-1, "
        "expect: deny, error: cannot go together}"
    )
    assert check.question is None
    assert "cannot go together" in check.conflict
    assert check.rules is None


@pytest.mark.parametrize("word", ["issued", "last-second", "expired"])
def test_a_bundles_own_instants_may_be_named(word: str) -> None:
    bundle = bundle_with(AT + "  - " + WHOLE.replace("name: a", f"name: a, at: {word}"))
    (scenario,) = read_scenarios(bundle)
    own = {"issued": bundle.issued_at_s, "last-second": bundle.expires_at_s - 1, "expired": bundle.expires_at_s}
    assert scenario.checks[0].at_s == own[word]


def test_profile_none_is_no_profile() -> None:
    (check,) = checks_of(
        AT
        + "  - {name: a, profile: none, action: process, region: us-east-1, expect: deny, rule: none, error: profile}"
    )
    assert check.question is not None
    assert check.question.situation.profile == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("name: a, ", ""), "it has no `name`"),
        (("profile: eea, ", ""), "it has neither `project` nor `profile`"),
        (("profile: eea", "project: acme/nothing"), "there is no project 'acme/nothing' in projects.toml"),
        (("[DE]", "[Germany]"), "`subject` has 'Germany', which is no country: two capital letters"),
        (("action: process, ", ""), "it has no `action`"),
        (("process", "procces"), "`action` is 'procces'; it is one of terminate, relay, process"),
        (("region: no-east-1, ", ""), "it has no `region`"),
        (("expect: allow, ", ""), "it has no `expect`"),
        (("expect: allow", "expect: alow"), "`expect` is 'alow'; it is allow or deny"),
        ((", rule: P02-eea-in-eea", ""), "it has no `rule`; say `rule: none` where no rule is to match"),
        (("P02-eea-in-eea", "P02-eea"), "there is no rule 'P02-eea' in rules/"),
        (("expect", "expected"), "`expected` is no field; there are name, steps, project"),
        (("action", "at: tomorrow, action"), "`at`: 'tomorrow' is no date and time"),
        (("action", "data_class: PHI, action"), "`data_class` is 'PHI'; it is one of public, personal"),
        (("action", "consent: maybe, action"), "`consent` is 'maybe'; it is true or false"),
    ],
)
def test_a_mistake_is_told_with_its_line(change: tuple[str, str], sentence: str) -> None:
    mistakes = mistakes_of(f"{AT}  - {WHOLE.replace(*change)}\n")
    assert any(mistake.startswith(f"scenarios/a.yaml line 3: {sentence}") for mistake in mistakes), mistakes


def test_without_any_instant_there_is_no_question() -> None:
    (mistake,) = mistakes_of(f"scenarios:\n  - {WHOLE}\n")
    assert "it has no `at`, and neither has its file" in mistake


def test_two_scenarios_do_not_share_a_name() -> None:
    (mistake,) = mistakes_of(f"{AT}  - {WHOLE}\n  - {WHOLE}\n")
    assert mistake == "scenarios/a.yaml line 4: 'a' is also in scenarios/a.yaml line 3"


def test_every_mistake_is_told_at_once() -> None:
    assert len(mistakes_of(f"{AT}  - {WHOLE.replace('allow', 'yes')}\n  - {WHOLE.replace('process', 'x')}\n")) >= 2


def test_a_table_without_scenarios_and_an_entry_without_fields_are_told() -> None:
    assert mistakes_of("at: 2026-06-01T12:00:00Z\n") == ["scenarios/a.yaml line 1: `scenarios` is no list"]
    assert mistakes_of(f"{AT}  - hello\n") == ["scenarios/a.yaml line 3: an entry of `scenarios` has no fields"]


_BUNDLE = read_bundle(residency_files())
_VALUE = st.one_of(
    st.text(max_size=8), st.sampled_from(["process", "eea", "allow", "none", "[a, b]", "{}", "&a", "*a"])
)


@given(st.lists(st.tuples(st.sampled_from(["name", "action", "region", "at", "steps", "expect", "rule"]), _VALUE)))
def test_any_table_is_read_or_refused(fields: list[tuple[str, str]]) -> None:
    table = AT + "  - {" + ", ".join(f"{name}: {value}" for name, value in fields) + "}\n"
    bundle = replace(_BUNDLE, scenario_files={"scenarios/a.yaml": table.encode("utf-8", "replace")})
    with contextlib.suppress(ScenariosRefused):
        assert read_scenarios(bundle)
