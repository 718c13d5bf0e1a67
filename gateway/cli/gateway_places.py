"""Where a client's session may be gone on with, in which order, and over what. No I/O.

These must stay true:
  - Who began on an encrypted connection goes on over none that others can read along.
  - Who asked for WebTransport goes on over it at other gateways too, where they name it and can be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.cli.connection import TransportChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.cli.resuming import Endpoint

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_WEBSOCKET_SCHEMES = ("ws", "wss", "http")
_WEBTRANSPORT_SCHEMES = ("https",)
_GRPC_SCHEMES = ("grpc", "grpcs")
_ENCRYPTED_SCHEMES = ("wss", "https", "grpcs")


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway's address, and how it is spoken to."""

    url: str
    protocol: TransportChoice


class Places:
    """Of one session. `home`: where it was last over the protocol that was asked for."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.home = self._given = Place(endpoint.url, endpoint.protocol)
        self.has_fallen_back = False
        self._named: tuple[str, ...] = ()
        self._is_sent_on = False
        """From `home` to the gateways in `_named`, by policy or a drain."""
        self._is_secret = _scheme_of(endpoint.url) in _ENCRYPTED_SCHEMES
        """Who was told to use encrypted connections takes the token and the audio to no other."""

    def started(self, place: Place, resume_at: tuple[str, ...]) -> None:
        """The session is there now, and the gateway named these addresses."""
        self._named = resume_at or self._named
        if place.protocol is self._endpoint.protocol:
            self.home, self._is_sent_on = place, False

    def sent_on(self, gateways: tuple[str, ...]) -> None:
        """An error named these; none: it was about something else."""
        self._named = gateways or self._named
        self._is_sent_on = self._is_sent_on or bool(gateways)

    def all(self) -> list[Place]:
        """At least one. Named addresses that can be used, then the one that was given; over WebTransport `home` goes
        first, unless the session has to leave it.
        """
        protocol = self._endpoint.protocol
        if protocol is TransportChoice.webtransport:
            return list(dict.fromkeys(self._over_webtransport()))
        schemes = _GRPC_SCHEMES if protocol is TransportChoice.grpc else _WEBSOCKET_SCHEMES
        return list(dict.fromkeys([*self._of(schemes, protocol), self._given]))

    def _over_webtransport(self) -> list[Place]:
        websockets = self._websockets()
        if self.has_fallen_back and websockets:
            return websockets
        choices = self._endpoint.webtransport
        webtransports: list[Place] = []
        if choices is None or choices.may_trust_others:
            webtransports = self._of(_WEBTRANSPORT_SCHEMES, TransportChoice.webtransport)
        others = _in_turns([place for place in webtransports if place != self.home], websockets)
        return [*others, self.home, self._given] if self._is_sent_on else [self.home, *others, self._given]

    def _websockets(self) -> list[Place]:
        """Where WebTransport does not come through."""
        fallback_url = self._endpoint.fallback_url
        if fallback_url is None:
            return []
        given = [Place(fallback_url, TransportChoice.ws)] if fallback_url else []
        return [*self._of(_WEBSOCKET_SCHEMES, TransportChoice.ws), *given]

    def _of(self, schemes: tuple[str, ...], protocol: TransportChoice) -> list[Place]:
        return [
            Place(url, protocol)
            for url in self._named
            if _scheme_of(url) in schemes and (_is_kept_secret(url) or not self._is_secret)
        ]


def _in_turns(first: Sequence[Place], second: Sequence[Place]) -> list[Place]:
    """One of each in turn: where UDP is lost, WebSocket of the best gateway is one wait away, not one for each."""
    return [place for pair in zip_longest(first, second) for place in pair if place is not None]


def _scheme_of(url: str) -> str:
    """Empty where it is no address: a server may name anything."""
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _is_kept_secret(url: str) -> bool:
    """Whether nobody between here and there can read along: it is encrypted, or does not leave this machine."""
    return _scheme_of(url) in _ENCRYPTED_SCHEMES or urlsplit(url).hostname in LOOPBACK_HOSTS
