"""Where a caller tries next."""

from __future__ import annotations

import pytest

from regions.lab.call_places import CallPlace, CallPlaces

pytestmark = pytest.mark.unit

WEST, EAST = "ws://west/v1/stream", "ws://east/v1/stream"
TWINS = {WEST: "https://west/v1/stream", EAST: "https://east/v1/stream"}


def over_ws(url: str) -> CallPlace:
    return CallPlace(url, "ws")


def over_webtransport(url: str) -> CallPlace:
    return CallPlace(TWINS[url], "webtransport")


def test_a_caller_over_websocket_goes_round_its_gateways() -> None:
    places = CallPlaces([WEST, EAST])
    assert [places.next(tries) for tries in range(3)] == [over_ws(WEST), over_ws(EAST), over_ws(WEST)]


def test_each_gateway_is_tried_over_webtransport_and_then_over_websocket() -> None:
    places = CallPlaces([WEST, EAST], TWINS)
    assert [places.next(tries) for tries in range(4)] == [
        over_webtransport(WEST),
        over_ws(WEST),
        over_webtransport(EAST),
        over_ws(EAST),
    ]


def test_gateways_that_were_named_take_the_place_of_those_that_were_given() -> None:
    places = CallPlaces([WEST], TWINS, named=[EAST, "grpc://east", TWINS[EAST]])
    assert places.all() == [over_webtransport(EAST), over_ws(EAST)]
    assert CallPlaces([WEST], TWINS, named=[EAST]).all() == [over_ws(EAST)]
    assert CallPlaces([WEST], TWINS, named=["grpc://east"]).all() == [over_webtransport(WEST), over_ws(WEST)]


def test_who_does_not_speak_webtransport_passes_its_addresses_over() -> None:
    assert CallPlaces([WEST], named=[TWINS[EAST], EAST]).all() == [over_ws(EAST)]


def test_what_is_named_is_tried_nearest_first_over_one_and_the_other() -> None:
    named = [WEST, TWINS[WEST], EAST, TWINS[EAST]]
    places = CallPlaces([WEST], TWINS, named=named)
    assert places.all() == [over_webtransport(WEST), over_ws(WEST), over_webtransport(EAST), over_ws(EAST)]


def test_who_fell_back_stays_with_websocket() -> None:
    places = CallPlaces([WEST, EAST], TWINS, has_fallen_back=True)
    assert places.all() == [over_ws(WEST), over_ws(EAST)]


def test_who_is_sent_on_goes_there_once_and_over_what_it_speaks() -> None:
    places = CallPlaces([WEST], TWINS)
    places.sent_to = [EAST, TWINS[EAST]]
    assert [places.next(1), places.next(2)] == [over_webtransport(EAST), over_webtransport(WEST)]
