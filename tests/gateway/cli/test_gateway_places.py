"""Where a session is gone on with, in which order, and over what."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.connection import TransportChoice
from gateway.cli.gateway_places import Place, Places
from gateway.cli.resuming import Endpoint
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.webtransport.client.trust import CaFile, CertificateHash, Trust

pytestmark = pytest.mark.unit

HERE, EAST, WEST = (f"{name}.example/v1/stream" for name in ("here", "east", "west"))
NAMED = (f"wss://{EAST}", "grpcs://east.example:443", f"https://{EAST}", f"wss://{WEST}", f"https://{WEST}")
OWN_HASH = CertificateHash.of("ab" * 32)


def over_webtransport(fallback_url: str | None = f"wss://{HERE}", trust: Trust | None = None) -> Places:
    """A session that has begun at HERE, which named others."""
    endpoint = Endpoint(
        f"https://{HERE}", "t", TransportChoice.webtransport, WebTransportChoices(trust), fallback_url=fallback_url
    )
    places = Places(endpoint)
    places.started(places.home, NAMED)
    return places


def urls(places: Places) -> list[str]:
    found = places.all()
    for place in found:
        assert (place.protocol is TransportChoice.webtransport) == place.url.startswith("https:")
    return [place.url for place in found]


@pytest.mark.parametrize(
    ("endpoint", "goes_on_at"),
    [
        (Endpoint("wss://asr.example", "t"), ["wss://b.example", "ws://127.0.0.1:9", "wss://asr.example"]),
        (
            Endpoint("ws://asr.example", "t"),
            ["ws://b.example", "wss://b.example", "http://c.example", "ws://127.0.0.1:9", "ws://asr.example"],
        ),
        (Endpoint("grpcs://asr.example", "t", TransportChoice.grpc), ["grpcs://asr.example"]),
        (Endpoint("asr.example:1", "t", TransportChoice.grpc), ["grpc://b.example", "asr.example:1"]),
        (
            Endpoint("https://a.example", "t", TransportChoice.webtransport, None, "wss://a.example"),
            ["https://a.example", "https://b.example/", "wss://b.example", "ws://127.0.0.1:9", "wss://a.example"],
        ),
    ],
)
def test_who_began_encrypted_takes_the_token_to_no_address_that_is_not(
    endpoint: Endpoint, goes_on_at: list[str]
) -> None:
    """And nobody goes to one that it does not speak: schemes that it does not know are passed over, too."""
    places = Places(endpoint)
    named = ("ws://b.example", "ws://[::1", "wss://b.example", "http://c.example", "grpc://b.example")
    places.started(places.home, (*named, "https://b.example/", "ws://127.0.0.1:9", "moq://b.example", "nothing"))
    assert [place.url for place in places.all()] == goes_on_at


@pytest.mark.parametrize("trust", [None, CaFile(Path("ca.pem")), CertificateHash.of("ab" * 32, "cd" * 32)])
def test_each_gateway_that_is_named_is_tried_over_webtransport_and_one_wait_later_over_websocket(
    trust: Trust | None,
) -> None:
    places = over_webtransport(trust=trust)
    others = [f"https://{EAST}", f"wss://{EAST}", f"https://{WEST}", f"wss://{WEST}"]
    assert urls(places) == [f"https://{HERE}", *others, f"wss://{HERE}"]


def test_a_gateway_whose_certificate_cannot_be_known_is_tried_over_websocket_alone() -> None:
    places = over_webtransport(trust=OWN_HASH)
    assert urls(places) == [f"https://{HERE}", f"wss://{EAST}", f"wss://{WEST}", f"wss://{HERE}"]
    places.sent_on((f"https://{EAST}", f"wss://{EAST}"))
    assert urls(places) == [f"wss://{EAST}", f"wss://{HERE}", f"https://{HERE}"]


def test_without_a_fall_back_only_webtransport_is_tried() -> None:
    assert urls(over_webtransport(None)) == [f"https://{HERE}", f"https://{EAST}", f"https://{WEST}"]
    assert urls(over_webtransport(None, OWN_HASH)) == [f"https://{HERE}"]


def test_a_session_that_is_sent_elsewhere_goes_there_first() -> None:
    places = over_webtransport()
    places.sent_on(())
    assert urls(places)[0] == f"https://{HERE}", "an error that names nobody sends nobody away"
    places.sent_on((f"wss://{WEST}", f"https://{WEST}"))
    assert urls(places) == [f"https://{WEST}", f"wss://{WEST}", f"wss://{HERE}", f"https://{HERE}"]


def test_a_session_that_went_on_elsewhere_is_at_home_there() -> None:
    places = over_webtransport()
    places.sent_on((f"wss://{WEST}", f"https://{WEST}"))
    west = Place(f"https://{WEST}", TransportChoice.webtransport)
    places.started(west, (f"wss://{EAST}", f"https://{WEST}", f"https://{EAST}"))
    assert places.home == west
    assert urls(places) == [f"https://{WEST}", f"https://{EAST}", f"wss://{EAST}", f"wss://{HERE}", f"https://{HERE}"]


def test_who_fell_back_stays_with_websocket() -> None:
    places = over_webtransport()
    places.has_fallen_back = True
    assert urls(places) == [f"wss://{EAST}", f"wss://{WEST}", f"wss://{HERE}"]
