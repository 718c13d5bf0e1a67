"""Promises of reading a catalog's TOML: what a single value may be, and where a mistake stands."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.routing_facts import CapacityClass, RegionState
from regions.catalog import Location, PoolSpec, RegionSpec
from regions.catalog_document import parse
from regions.watched_file import FileRefused

pytestmark = pytest.mark.unit

LEAST = """
[[regions]]
name = "eu"
country = "IE"
location = { latitude = 53, longitude = -6.26 }
operator = "acme"
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(FileRefused) as refused:
        parse(text)
    return list(refused.value.mistakes)


def test_what_is_left_out_has_its_default_and_the_rest_is_read() -> None:
    listing = parse(LEAST + '[[regions.pools]]\nname = "a"\ncapacity = "spot"\nmodels = [{ name = "en" }]\n')
    pool = PoolSpec("a", CapacityClass.spot, "", (("en", ""),))
    location = Location(53.0, -6.26)
    assert listing.regions == (
        RegionSpec("eu", location, "IE", frozenset(), "acme", (), (), (pool,), RegionState.active),
    )


def test_the_digest_is_of_what_is_said_and_not_of_how() -> None:
    said = parse(LEAST).digest
    assert parse("# a comment\n" + LEAST.replace('"IE"', "'IE'")).digest == said
    assert parse(LEAST.replace("53", "54")).digest != said


def test_every_wrong_value_is_told_with_the_names_around_it() -> None:
    wrong = (
        LEAST.replace("53", "99").replace("operator", "owner")
        + 'relays = ["nowhere"]\nstate = "asleep"\n'
        + '[[regions.pools]]\nname = "a"\ncapacity = "rented"\nmodels = [{ name = "en" }]\ncost_permille = 1.5\n'
        + '[[regions]]\nname = "Not a name"\n'
    )
    told = mistakes(wrong)
    places = [mistake.split(":")[0] for mistake in told]
    assert places == [
        "regions.eu.location.latitude",
        "regions.eu.operator",
        "regions.eu.relays.0",
        "regions.eu.state",
        "regions.eu.pools.a.capacity",
        "regions.eu.pools.a.cost_permille",
        "regions.eu.owner",
        "regions.Not a name.name",
        "regions.Not a name.country",
        "regions.Not a name.location",
        "regions.Not a name.operator",
    ]
    assert told[1] == "regions.eu.operator: is required"
    assert told[2] == "regions.eu.relays.0: must be host:port"
    assert told[6] == "regions.eu.owner: is not known here"


@given(st.text(max_size=200))
def test_any_text_is_a_catalog_or_refused(text: str) -> None:
    with contextlib.suppress(FileRefused):
        assert parse(text).digest
