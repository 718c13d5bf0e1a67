"""What the headers of an edge say of a caller's place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.edge_headers import location_of, place_of_headers, subdivision_of
from gateway.admission.geography_settings import EdgeHeaderSettings
from gateway.admission.places import Place, PlaceSource
from regions.catalog import Location

pytestmark = pytest.mark.unit

CLOUDFRONT = EdgeHeaderSettings(
    country="CloudFront-Viewer-Country",
    subdivision="CloudFront-Viewer-Country-Region",
    latitude="CloudFront-Viewer-Latitude",
    longitude="CloudFront-Viewer-Longitude",
)
APP_ENGINE = EdgeHeaderSettings(country="X-AppEngine-Country", latitude_longitude="X-AppEngine-CityLatLong")


def place(names: EdgeHeaderSettings, **headers: str | list[str]) -> Place | None:
    """Headers by their names with underscores."""
    lines = {
        name.replace("_", "-").lower(): [value] if isinstance(value, str) else value for name, value in headers.items()
    }
    return place_of_headers(lambda name: lines.get(name.lower(), ()), names)


def test_an_edge_says_country_subdivision_and_location() -> None:
    told = place(
        CLOUDFRONT,
        CloudFront_Viewer_Country="de",
        CloudFront_Viewer_Country_Region="BE",
        CloudFront_Viewer_Latitude="52.52000",
        CloudFront_Viewer_Longitude="-13.4",
    )
    assert told == Place("DE", "BE", Location(52.52, -13.4), PlaceSource.edge_header)


def test_both_degrees_may_stand_in_one_header() -> None:
    told = place(APP_ENGINE, X_AppEngine_Country="AU", X_AppEngine_CityLatLong="-33.86, 151.21")
    assert told == Place("AU", "", Location(-33.86, 151.21), PlaceSource.edge_header)


@pytest.mark.parametrize("country", ["XX", "T1", "ZZ", "", "Germany", "D\u00c9"])
def test_a_country_that_is_none_is_unknown(country: str) -> None:
    assert place(APP_ENGINE, X_AppEngine_Country=country) is None


@pytest.mark.parametrize(
    "both", ["", "52", "52,", ",13", "91,0.1", "1,181", "nan,1", "inf,1", "0,0", "1e1,2", "5,6,7", "9" * 80]
)
def test_degrees_that_are_none_leave_the_country(both: str) -> None:
    told = place(APP_ENGINE, X_AppEngine_Country="FR", X_AppEngine_CityLatLong=both)
    assert told == Place("FR", "", None, PlaceSource.edge_header)


def test_a_header_that_says_two_things_says_nothing() -> None:
    assert place(APP_ENGINE, X_AppEngine_Country=["FR", "DE"]) is None
    assert place(APP_ENGINE, X_AppEngine_Country=["FR", "FR"]) is not None


def test_headers_without_a_name_in_the_settings_are_not_read() -> None:
    assert place(EdgeHeaderSettings(), X_AppEngine_Country="FR") is None


@pytest.mark.parametrize(
    ("text", "code"), [("BE", "BE"), ("DE-BE", "BE"), ("be", "BE"), ("toolong", ""), (7, ""), ("", "")]
)
def test_a_subdivision_is_the_part_behind_the_hyphen(text: object, code: str) -> None:
    assert subdivision_of(text, country="DE") == code
    assert subdivision_of(text, country="") == ""


@pytest.mark.parametrize("wrong", [("1", 2), (True, 2), (1, False), (float("nan"), 1), (1, float("inf")), (None, None)])
def test_what_is_no_pair_of_degrees_is_no_location(wrong: tuple[object, object]) -> None:
    assert location_of(*wrong) is None


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_any_headers_give_a_place_or_nothing(country: str, subdivision: str, both: str) -> None:
    names = EdgeHeaderSettings(country="a", subdivision="b", latitude_longitude="c")
    place_of_headers(lambda name: {"a": [country], "b": [subdivision], "c": [both]}[name], names)
