"""Tables of TOML: a value of the wrong kind, a key that is missing or unknown is told with its place, never raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.bundles.toml_tables import TableReader, document, tables
from policies.residency.vocabulary import DataClass

pytestmark = pytest.mark.unit


def told(mistakes: Mistakes) -> list[str]:
    try:
        mistakes.refuse_if_any()
    except BundleRefused as refused:
        return refused.mistakes
    return []


def read_all(reader: TableReader) -> tuple[object, ...]:
    return (
        reader.text("text"),
        reader.optional_text("maybe"),
        reader.flag("flag"),
        reader.flag("calm", default=True),
        reader.count("count", most=9),
        reader.instant("at"),
        reader.texts("texts"),
        reader.word("word", DataClass),
    )


SOUND = 'text = "a"\nflag = true\ncount = 3\nat = 1970-01-02T00:00:00Z\ntexts = ["x", "y"]\nword = "phi"\n'


def test_a_sound_table_is_read_and_nothing_is_told() -> None:
    mistakes = Mistakes()
    reader = TableReader(document(SOUND, "f", mistakes), "f", mistakes)
    assert read_all(reader) == ("a", "", True, True, 3, 86_400, frozenset({"x", "y"}), DataClass.phi)
    assert reader.done()
    assert told(mistakes) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("text = 1", "`text` is no text"),
        ('text = " "', "`text` is no text"),
        ('text = "a\\nb"', "`text` has control characters, line breaks or others that nobody sees"),
        ("maybe = []", "`maybe` is no text"),
        ('flag = "true"', "`flag` is neither true nor false"),
        ("count = 10", "`count` is no whole number from 0 to 9"),
        ("count = true", "`count` is no whole number from 0 to 9"),
        ("count = -1", "`count` is no whole number from 0 to 9"),
        ("at = 2026-01-01T00:00:00", "`at` has no offset: say Z, or how far from UTC"),
        ("texts = [1]", "`texts` has a member that is no text"),
        ('texts = ["x", "x"]', "`texts` has 'x' twice"),
        ('texts = "x"', "`texts` is no list of at most 1000 texts"),
        (
            'word = "PHI"',
            "`word` is 'PHI'; it is one of public, personal, special-category, phi, card-holder, government, minors",
        ),
        ("other = 1", "unknown key 'other'"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(line: str, said: str) -> None:
    mistakes = Mistakes()
    key = line.partition(" ")[0]
    text = "".join(kept for kept in SOUND.splitlines(keepends=True) if not kept.startswith(f"{key} ")) + line
    reader = TableReader(document(text, "f", mistakes), "f row 1", mistakes)
    read_all(reader)
    assert not reader.done()
    assert told(mistakes) == [f"f row 1: {said}"]


def test_every_missing_key_is_told() -> None:
    mistakes = Mistakes()
    reader = TableReader({}, "f", mistakes)
    read_all(reader)
    assert not reader.is_sound
    assert told(mistakes) == [f"f: `{key}` is missing" for key in ("text", "flag", "count", "at")]


def test_a_table_within_is_read_with_its_place() -> None:
    mistakes = Mistakes()
    reader = TableReader({"inner": {"a": 1}, "not": 1}, "f", mistakes)
    reader.table("inner").text("a")
    reader.table("not").done()
    assert told(mistakes) == ["f: `inner`: `a` is no text", "f: `not` is no table"]
    assert not TableReader([], "f", mistakes).is_sound


def test_a_file_is_a_list_of_its_tables_and_nothing_else() -> None:
    mistakes = Mistakes()
    assert tables({"rows": [{}, {}]}, "rows", "f", 2, mistakes) == [{}, {}]
    assert tables({}, "rows", "f", 2, mistakes) == []
    assert told(mistakes) == []
    assert tables({"rows": 1, "other": 2}, "rows", "f", 2, mistakes) == []
    assert tables({"rows": [{}, {}, {}]}, "rows", "f", 2, mistakes) == []
    assert told(mistakes) == [
        "f: unknown key 'other'; it is a list of [[rows]]",
        "f: `rows` is no list of [[rows]]",
        "f: has 3 [[rows]], more than 2",
    ]


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5_000, "a = 1" + "0" * 5_000, "a = 2026-02-30T00:00:00Z", "]", "a = {" * 900]
)
def test_hostile_text_is_told_and_not_raised(text: str) -> None:
    mistakes = Mistakes()
    assert document(text, "f", mistakes) is None
    assert len(told(mistakes)) == 1


@given(text=st.text(max_size=40))
def test_any_text_is_a_document_or_a_mistake(text: str) -> None:
    mistakes = Mistakes()
    assert (document(text, "f", mistakes) is None) == bool(told(mistakes))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("rows = [\n  { a = 1 },\n]\n[[rows]]\na = 2\n", "before the last ]"),
        ("a = 2026-11-31T00:00:00Z\n", "there is no such day"),
        ("a = “b”\n", "straight quotes"),
    ],
)
def test_what_often_goes_wrong_is_told_with_what_to_do(text: str, advice: str) -> None:
    mistakes = Mistakes()
    assert document(text, "rows.toml", mistakes) is None
    with pytest.raises(BundleRefused, match=advice):
        mistakes.refuse_if_any()
