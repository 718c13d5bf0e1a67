"""A table of what is said and what is written."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.models.recipe.text.numbers import cardinal as spoken_cardinal
from engines.models.recipe.text.numbers import ordinal as spoken_ordinal
from engines.text.cardinals import written
from engines.text.numerals import may_begin, rewrite
from engines.text.tape import Tape

pytestmark = pytest.mark.unit

TABLE = """
one | one
nine | nine
zero | zero
ten | 10
nineteen | 19
twenty | 20
twenty one | 21
twenty-five | 25
ninety nine | 99
one hundred | 100
one hundred one | 101
two hundred and five | 205
nine hundred ninety nine | 999
one thousand | 1000
one thousand and one | 1001
two thousand twenty six | 2026
nine thousand nine hundred ninety nine | 9999
ten thousand | 10,000
twelve thousand three hundred forty five | 12,345
twenty five hundred | 2500
one hundred thousand | 100,000
two million | 2,000,000
one million two hundred thousand and five | 1,200,005
one billion | 1,000,000,000
a hundred | a hundred
a hundred and twenty people | 120 people
thanks a million | thanks a million
a hundred percent | 100%
a thousand dollars | $1,000
one hundred and two hundred | 100 and 200
one thousand two thousand | 1000 2000
one of us | one of us
two people | two people
between five and ten | between five and 10
two or three | two or three
three million four | 3,000,004
one two | 12
one two three | 123
zero zero seven | 007
oh one two | 012
four oh five | 405
four oh | four oh
oh no | oh no
oh one | oh one
double seven | 77
double four oh one | 4401
triple nine | 999
double trouble | double trouble
one two hundred | 1 200
eight hundred five five five one two one two | 800 5551212
four one five five five five oh one two three | 415-555-0123
one four one five five five five oh one two three | 1-415-555-0123
plus four four two zero seven nine four six zero nine five eight | +442079460958
two plus two | two plus two
plus four | plus four
forty one eleven | 41 11
seven forty two | 7 42
five twenty | 5 20
first | first
second | second
ninth | ninth
tenth | 10th
eleventh | 11th
twelfth | 12th
thirteenth | 13th
twentieth | 20th
the twenty first | the 21st
the twenty second | the 22nd
twenty third | 23rd
thirty first | 31st
ninetieth | 90th
a twenty second timer | a 20 second timer
january third | January 3
january the third | January 3
january three | January 3
january third twenty twenty six | January 3, 2026
january three twenty twenty six | January 3, 2026
january twenty twenty six | January 2026
january twenty twenty twenty six | January 20, 2026
january twenty six | January 26
december twenty twenty five | December 2025
december nineteen nineteen eighty four | December 19, 1984
march the twenty first nineteen eighty four | March 21, 1984
march third | March 3
march three miles | march three miles
may fifth | May 5
may five people come | may five people come
in may twenty twenty | in May 2020
in may two thousand and six | in May 2006
the third of january | 3 January
the third of january twenty twenty six | 3 January 2026
third of may | 3 May
thirty first of october two thousand | 31 October 2000
the third man | the third man
january | january
june thirty two | june 32
nineteen eighty four | 1984
nineteen oh five | 1905
nineteen hundred | 1900
seventeen seventy six | 1776
twenty twenty | 2020
twenty ten | 2010
twenty oh five | 2005
two thousand and five | 2005
three p m | 3 p.m.
three pm | 3 p.m.
eleven a m | 11 a.m.
seven oh five p m | 7:05 p.m.
seven forty two a m | 7:42 a.m.
seven forty two in the morning | 7:42 in the morning
nine thirty tonight | 9:30 tonight
wake me up at seven forty two | wake me up at 7:42
until nine fifteen | until 9:15
at seven thirty two hundred people | at 7 3200 people
at five twenty dollars | at 5 20 dollars
three o'clock | 3 o'clock
three o'clock p m | 3 o'clock p.m.
half past three | 3:30
half past three p m | 3:30 p.m.
quarter past twelve | 12:15
a quarter past six | 6:15
a quarter to three | 2:45
quarter to one | 12:45
ten past six | 6:10
twenty five past six | 6:25
at ten to five | at 4:50
it is twenty to one | it is 12:40
from ten to five | from 10 to five
twenty to five p m | 4:40 p.m.
half of it | half of it
thirteen p m | 13 p m
one dollar | $1
five dollars | $5
twenty five dollars | $25
twenty five dollars and ten cents | $25.10
twenty five dollars ten cents | $25.10
twenty five dollars and five cents | $25.05
twenty dollars and five apples | $20 and five apples
one thousand two hundred dollars | $1,200
two million dollars | $2,000,000
two point five million dollars | $2.5 million
two point five dollars | $2.50
thirty euros | €30
thirty euros and fifty cents | €30.50
twelve pounds | £12
five pounds fifty pence | £5.50
five pounds of sugar | five pounds of sugar
he lost twenty pounds | he lost 20 pounds
fifty cents | 50 cents
five cents | 5 cents
a dollar | a dollar
nineteen ninety nine dollars | 1999 dollars
seven fifty dollars | 7 50 dollars
five percent | 5%
twenty five per cent | 25%
three point one four percent | 3.14%
three point one four | 3.14
three point fourteen | 3.14
zero point five | 0.5
three point oh five | 3.05
two point five million people | 2.5 million people
two and a half miles | 2.5 miles
an hour and a half | an hour and a half
the point is | the point is
five point | five point
two thirds | 2/3
three quarters | 3/4
one third party | one third party
seventy two degrees | 72 degrees
five degrees | five degrees
room two oh four | room 204
account ending in four two | account ending in 42
hello | hello
a b c | a b c
the | the
set the timer for ten minutes | set the timer for 10 minutes
"""
PAIRS = [tuple(line.split(" | ")) for line in TABLE.strip().splitlines()]


def in_digits(said: str) -> str:
    words = said.split()
    tape = Tape(words)
    texts: list[str] = []
    at = 0
    while at < len(words):
        items = rewrite(tape, at) if may_begin(words[at]) else None
        texts += [item.text for item in items] if items else [words[at]]
        at = items[-1].end if items else at + 1
    return " ".join(texts)


@pytest.mark.parametrize(("said", "expected"), PAIRS, ids=[said for said, _ in PAIRS])
def test_what_is_said_is_written_so(said: str, expected: str) -> None:
    assert in_digits(said) == expected


def test_the_table_is_long_and_has_nothing_twice() -> None:
    assert len({said for said, _ in PAIRS}) == len(PAIRS) >= 120


def test_every_number_that_the_model_learned_is_read_back() -> None:
    rng = Random(7)
    for value in range(10, 3_000):
        assert in_digits(spoken_cardinal(value, rng)) == written(value)


@given(st.integers(10, 999_999_999), st.randoms(use_true_random=False))
def test_any_number_is_read_back(value: int, rng: Random) -> None:
    assert in_digits(spoken_cardinal(value, rng)) == written(value)


@given(st.integers(1, 31), st.sampled_from(["january", "may", "march", "december"]), st.integers(2010, 2099))
def test_any_date_is_read_back(day: int, month: str, year: int) -> None:
    rng = Random(0)
    in_year = f"twenty {spoken_cardinal(year % 100, rng)}"
    assert in_digits(f"{month} {spoken_ordinal(day)} {in_year}") == f"{month.capitalize()} {day}, {year}"


@given(st.lists(st.sampled_from(sorted({word for said, _ in PAIRS for word in said.split()})), max_size=12))
def test_what_is_in_digits_is_not_rewritten_again(words: list[str]) -> None:
    once = in_digits(" ".join(words))
    assert all(item in in_digits(once).split() for item in once.split() if item.isdecimal())
