"""Rules are cut apart as Cedar reads them, and a wrong one is told by its file, line and @id."""

from __future__ import annotations

import time

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles.instants import seconds_of
from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.bundles.rules import MAX_DEPTH, MAX_RULE_CHARACTERS, cut_apart, read_rules
from tests.harness.residency_bundle import RULES, rule

pytestmark = pytest.mark.unit

PERMIT = "permit (principal, action, resource)"


def told(mistakes: Mistakes) -> list[str]:
    try:
        mistakes.refuse_if_any()
    except BundleRefused as refused:
        return refused.mistakes
    return []


def mistakes_in(text: str) -> list[str]:
    mistakes = Mistakes()
    read_rules(text, "rules/a.cedar", mistakes)
    return told(mistakes)


def test_rules_are_read_in_order_with_text_line_and_annotations() -> None:
    mistakes = Mistakes()
    rules = read_rules(RULES, "rules/a.cedar", mistakes)
    assert told(mistakes) == []
    assert len(rules) == len(cedarpy.PolicySet.from_str(RULES)) == 16
    embargo = next(found for found in rules if found.id == "F01-embargo")
    assert (embargo.effect, embargo.kind, embargo.is_statutory, embargo.ends_at_once) == (
        "forbid",
        "statutory",
        True,
        True,
    )
    assert RULES.splitlines()[embargo.line - 1].startswith('@id("F01-embargo")')
    assert ("Jurisdiction", "EMBARGO") in embargo.named
    assert rules[0].line == 2, "the comment before it is not where it begins"
    assert not rules[0].ends_at_once
    assert cedarpy.PolicySet.from_str("\n".join(found.text for found in rules)).to_pst() == (
        cedarpy.PolicySet.from_str(RULES).to_pst()
    )


def test_dates_are_found_in_rules_and_not_in_comments_or_texts() -> None:
    text = rule(
        "A",
        '// datetime("2020-01-01T00:00:00Z")\n'
        + PERMIT
        + ' when { context.now >= datetime("2026-10-01T02:00:00+0200") && '
        'context.now < datetime("2027-01-01") && resource.country != "datetime(2021-01-01)" };',
        '@note("datetime(2022-01-01)")',
    )
    (found,) = read_rules(text, "a", Mistakes())
    first, second = seconds_of("2026-10-01T00:00:00Z"), seconds_of("2027-01-01T00:00:00Z")
    assert found.instants == (first, first + 1, second, second + 1), "each date, and the second after it, for > and <="


@pytest.mark.parametrize(
    ("text", "actions", "facts"),
    [
        (f"{PERMIT};", None, set()),
        ('permit (principal, action == Asr::Action::"relay", resource);', {"relay"}, set()),
        (
            'permit (principal, action in [Asr::Action::"relay", Asr::Action::"process"], resource);',
            {"relay", "process"},
            set(),
        ),
        (f'{PERMIT} when {{ context.capacity == Asr::Capacity::"spot" }};', None, {"capacity"}),
        (f"{PERMIT} when {{ context has trigger }} unless {{ !context.isDraining }};", None, {"trigger", "isDraining"}),
        (f"{PERMIT} when {{ context == {{}} || context.isDraining }};", None, None),
        (f"{PERMIT} when {{ [context].contains(context) }};", None, None),
        (f"{PERMIT} when {{ (if true then context else context).isDraining }};", None, None),
        (f"{PERMIT} when {{ {{ a: context }}.a.isDraining && context.isDraining }};", None, None),
    ],
)
def test_a_rule_says_which_actions_it_is_about_and_what_it_asks(
    text: str, actions: set[str] | None, facts: set[str] | None
) -> None:
    (found,) = read_rules(rule("A", text), "a", Mistakes())
    assert (found.actions, found.facts) == (actions, facts)


EU, UK = 'Asr::Jurisdiction::"EU"', 'Asr::Jurisdiction::"UK"'


@pytest.mark.parametrize(
    ("condition", "areas"),
    [
        ("true", set()),
        ("context.subjectKnown", set()),
        (f"context.subject.contains({EU})", {"EU"}),
        (f"context.subject.containsAny([{EU}, {UK}]) && !context.subject.contains({UK})", {"EU", "UK"}),
        (f"context.subject.containsAll([{EU}])", {"EU"}),
        ("context.subject.containsAny([])", set()),
        ("context.subject.isEmpty()", None),
        (f"context.subject == [{EU}]", None),
        (f"[{EU}].containsAll(context.subject)", None),
        (f"context.subject.containsAny(if context.isDraining then [{EU}] else [{UK}])", None),
        (f"context.subject.contains({EU}) || context.subject == context.subject", None),
        (f"[context].contains(context) && context.subject.contains({EU})", None),
    ],
)
def test_a_rule_says_which_regimes_of_the_speaker_it_looks_for(condition: str, areas: set[str] | None) -> None:
    (found,) = read_rules(rule("A", f"{PERMIT} when {{ {condition} }};"), "a", Mistakes())
    assert found.areas == areas


@pytest.mark.parametrize(
    "condition",
    [
        'context.now.toDate() == datetime("2026-01-01")',
        'context.now.offset(duration("1d")) > datetime("2026-01-01")',
        'context.now.durationSince(datetime("2026-01-01")) > duration("1d")',
        'context.now.toTime() > duration("1h")',
    ],
)
def test_what_makes_other_instants_of_instants_is_refused(condition: str) -> None:
    said = mistakes_in(rule("A", f"{PERMIT} when {{ {condition} }};"))
    assert said
    assert all("compared with context.now" in one for one in said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (rule("A", "permit (principal, action);"), "line 1 (A): is no Cedar rule: "),
        (rule("A", PERMIT), "a rule does not end with a semicolon"),
        (rule("A", PERMIT + ";", '@note("a\\u{1b}[31m")'), "that nobody sees in a text"),
        (rule("A", f'{PERMIT} when {{ resource.operator == "a\\u{{202e}}b" }};'), "that nobody sees in a text"),
        (rule("A", PERMIT + ";") + "\n\n# later", "line 5: remarks in rules begin with // and not with #"),
        (rule("A b", PERMIT + ";"), "(A b): @id is 'A b'; it is made of letters, digits and . _ -"),
        (f"{PERMIT};", "rules/a.cedar line 1: @id is missing"),
        (rule("A", PERMIT + ";", "@kind").replace("@basis", "@base"), "(A): @basis is missing"),
        (rule("A", PERMIT + ";").replace("2026-12-01", "soon"), "@review_by is 'soon'; it is a day, like 2026-12-31"),
        (rule("A", PERMIT + ";", '@kind("law")'), "@kind is 'law'; it is one of statutory, profile, operational"),
        (rule("A", PERMIT + ";", '@running("now")'), "@running is 'now'; it is one of at_once, at_commit_point"),
        (rule("A", "permit (principal == ?principal, action, resource);"), "slots like ?principal have no place here"),
        (rule("A", f'{PERMIT} when {{ context.now > datetime("2026-01-01T00:00:00.500Z") }};'), "parts of a second"),
        (rule("A", f'{PERMIT} when {{ context.now > datetime("1960-01-01") }};'), "between the years 1970 and 9999"),
        (rule("A", PERMIT + ";") + '\n"', "line 4: a quote is not closed"),
        (
            "\n\n" + rule("A", f"{PERMIT} when {{ {'(' * 2_000}1{')' * 2_000} == 1 }};"),
            f"more than {MAX_DEPTH} brackets deep",
        ),
        (rule("A", f"{PERMIT} when {{ {'true && ' * 3_000}true }};"), f"longer than {MAX_RULE_CHARACTERS} characters"),
        (rule("A", f"{PERMIT} when {{ {'true && ' * 1_900}true }};"), "nested too deeply"),
        (rule("A", f"{PERMIT} when {{ {'!' * 100}true }};"), "too many occurrences"),
    ],
)
def test_a_wrong_rule_is_told(text: str, said: str) -> None:
    found = mistakes_in(text)
    assert any(said in one for one in found), found
    assert all(one.startswith("rules/a.cedar") for one in found)


def test_several_wrong_rules_are_all_told_and_the_sound_ones_kept() -> None:
    mistakes = Mistakes()
    text = rule("A", "permit;") + rule("B", PERMIT + ";") + rule("C", "forbid ();")
    assert [found.id for found in read_rules(text, "a", mistakes)] == ["B"]
    assert len(told(mistakes)) == 2


@given(
    pieces=st.lists(
        st.sampled_from(
            [f"{PERMIT};", f'{PERMIT} when {{ "a;b" == "c\\"d;" }};', "// a; comment\n", '// "\r', "\n", "\t", "  "]
        ),
        max_size=8,
    )
)
def test_text_is_cut_where_cedar_cuts_it(pieces: list[str]) -> None:
    text = "".join(pieces)
    mistakes = Mistakes()
    rules = cut_apart(text, "a", mistakes)
    assert told(mistakes) == []
    assert len(rules) == len(cedarpy.PolicySet.from_str(text))
    for _, found in rules:
        assert len(cedarpy.PolicySet.from_str(found)) == 1


@given(text=st.text(alphabet='permit(){}[];"\\/\n\r@id,. ?=', max_size=60) | st.text(max_size=40))
def test_any_text_is_rules_or_mistakes(text: str) -> None:
    mistakes = Mistakes()
    for found in read_rules(text, "a", mistakes):
        assert found.id


@pytest.mark.parametrize(
    "text",
    [
        "// a remark\n" * 500 + f"{PERMIT};" * 1_000 + "// end" * 100_000,
        "\n" * 500_000 + ";" * 1_999,
        ";" * 1_999 + '""' * 250_000,
    ],
)
def test_a_file_as_large_as_may_be_is_cut_apart_in_time_that_grows_with_its_length(text: str) -> None:
    begins_s = time.process_time()
    cut_apart(text, "rules/a.cedar", Mistakes())
    assert time.process_time() - begins_s < 3, "cut apart anew for every rule it would take tens of seconds"
