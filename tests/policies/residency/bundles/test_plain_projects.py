"""What is read line by line is exactly what the TOML reader reads; everything else is left to it."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles.plain_projects import read_plainly

pytestmark = pytest.mark.unit

_texts = st.text(alphabet='abc/-é" #\\\t', max_size=6)
_lines = st.one_of(
    st.sampled_from(
        [
            "[[projects]]",
            "[[projects]]",
            "",
            "# a comment",
            'a = "x"',
            'b = ["x", "y"]',
            "c = true",
            "d = []",
            "e = 1",
            'f = """',
            "g = { h = 1 }",
            "[other]",
            'a.b = "x"',
            "a = 'x'",
            "  # indented",
            "\r",
        ]
    ),
    st.builds('{} = "{}"'.format, st.sampled_from("abcd"), _texts),
    st.builds('{} = ["{}",  "{}" ]'.format, st.sampled_from("abcd"), _texts, _texts),
    st.builds("{} = {}  ".format, st.sampled_from("abcd"), st.sampled_from(["true", "false", "True"])),
    st.builds("# {}".format, _texts),
)


@given(lines=st.lists(_lines, max_size=14))
def test_plain_lines_are_read_as_the_toml_reader_reads_them(lines: list[str]) -> None:
    text = "\n".join(lines)
    plain = read_plainly(text)
    if plain is not None:
        assert tomllib.loads(text).get("projects", []) == list(plain)


@given(text=st.text(max_size=60))
def test_any_text_is_read_alike_or_left_alone(text: str) -> None:
    text = "[[projects]]\n" + text
    plain = read_plainly(text)
    if plain is not None:
        assert tomllib.loads(text)["projects"] == list(plain)


def test_projects_as_people_write_them_are_plain() -> None:
    text = (
        '# ours\n[[projects]]\nproject = "acme/calls"\nonly_regions = ["a", "b"]\nlegal_hold = true\n\n[[projects]]\n'
    )
    tables = read_plainly(text)
    assert tables is not None
    assert list(tables) == [{"project": "acme/calls", "only_regions": ["a", "b"], "legal_hold": True}, {}]
    nothing = read_plainly("")
    assert nothing is not None
    assert list(nothing) == []


@pytest.mark.parametrize(
    "text",
    [
        'a = "x"',
        '[[projects]]\na = "x"\na = "y"',
        "[[projects]]\na = { b = 1 }",
        '[[projects]]\na = """\nb = "x"\n"""',
        '[[projects]]\na = "\\u0041"',
        '[[projects]]\na = "x" # why',
    ],
)
def test_what_is_not_plain_is_left_to_the_toml_reader(text: str) -> None:
    assert read_plainly(text) is None
