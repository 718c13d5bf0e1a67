"""YAML of scenario tables is text with lines, whatever YAML makes of it elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.checks.scenario_text import MAX_BYTES, Entry, root_entry

pytestmark = pytest.mark.unit


def entry_of(text: str) -> tuple[Entry, Mistakes]:
    mistakes = Mistakes()
    entry = root_entry(text.encode(), "scenarios/a.yaml", mistakes)
    assert entry is not None
    return entry, mistakes


def told(mistakes: Mistakes) -> list[str]:
    with pytest.raises(BundleRefused) as refused:
        mistakes.refuse_if_any()
    return refused.value.mistakes


def test_norway_stays_norway_and_an_instant_stays_as_written() -> None:
    entry, mistakes = entry_of("subject: [NO, DE]\nat: 2027-01-01T00:00:00Z\n")
    assert entry.texts("subject") == ("NO", "DE")
    assert entry.text("at") == "2027-01-01T00:00:00Z"
    assert mistakes.count == 0


def test_one_text_is_a_list_of_one_and_nothing_is_none() -> None:
    entry, _ = entry_of("region: eu-central-1\n")
    assert entry.texts("region") == ("eu-central-1",)
    assert entry.texts("action") == ()
    assert entry.text("action") == ""


def test_flags_are_true_or_false_or_not_said() -> None:
    entry, mistakes = entry_of("consent: true\ndraining: false\nbreak_glass: yes\n")
    assert (entry.flag("consent"), entry.flag("draining"), entry.flag("capacity")) == (True, False, None)
    assert mistakes.count == 0
    entry.flag("break_glass")
    assert told(mistakes) == ["scenarios/a.yaml line 3: `break_glass` is 'yes'; it is true or false"]


def test_unknown_fields_and_fields_that_stand_there_twice_are_told_with_their_lines() -> None:
    entry, mistakes = entry_of("at: now\nregoin: x\nat: then\n")
    entry.only(("at", "region"))
    assert told(mistakes) == [
        "scenarios/a.yaml line 3: `at` stands there twice",
        "scenarios/a.yaml line 2: `regoin` is no field; there are at, region",
    ]


def test_an_entry_keeps_its_own_fields_over_those_below_it() -> None:
    entry, _ = entry_of("steps:\n  - {region: a}\nregion: b\naction: process\nproject: x/y\n")
    (step,) = entry.entries("steps")
    step.over(entry, dropped=("steps", "project"))
    assert (step.text("region"), step.text("action"), step.text("project")) == ("a", "process", "")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff", "scenarios/a.yaml: is no UTF-8"),
        (b"a: [", "scenarios/a.yaml line 2: is no YAML"),
        (b"a: \x01", "scenarios/a.yaml: is no YAML"),
        (b"- a\n", "scenarios/a.yaml: has no list `scenarios`"),
        (b"", "scenarios/a.yaml: has no list `scenarios`"),
        (b" " * (MAX_BYTES + 1), f"scenarios/a.yaml: is larger than {MAX_BYTES} bytes"),
    ],
)
def test_what_is_no_table_is_told(data: bytes, sentence: str) -> None:
    mistakes = Mistakes()
    assert root_entry(data, "scenarios/a.yaml", mistakes) is None
    (mistake,) = told(mistakes)
    assert mistake.startswith(sentence)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_a_told_mistake(data: bytes) -> None:
    mistakes = Mistakes()
    assert (root_entry(data, "scenarios/a.yaml", mistakes) is None) == (mistakes.count == 1) or mistakes.count > 0


def test_what_nobody_sees_is_no_text() -> None:
    entry, mistakes = entry_of('name: "a\\e[31m"\nregion: ["b\\u202ec"]\n')
    assert entry.text("name") == ""
    assert entry.texts("region") == ("",)
    assert [one.split(": ")[0] for one in told(mistakes)] == ["scenarios/a.yaml line 1", "scenarios/a.yaml line 2"]


def test_a_tab_is_told_as_what_is_wrong() -> None:
    mistakes = Mistakes()
    assert root_entry(b"scenarios:\n\t- name: a\n", "scenarios/a.yaml", mistakes) is None
    assert told(mistakes)[0].endswith("indented by spaces, never by tabs")
