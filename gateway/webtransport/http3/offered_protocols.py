"""Which protocols a client offers for its session, and which one is chosen: two fields with strings of RFC 9651. Pure.

`wt-available-protocols: "patchbay.v1", "bearer.ey..."` is answered by `wt-protocol: "patchbay.v1"`. Parameters mean
nothing; a field that holds anything else than strings is passed over as a whole (draft-ietf-webtrans-http3 §3.3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OFFERS_HEADER = "wt-available-protocols"
CHOICE_HEADER = "wt-protocol"

MAX_OFFERS = 16
MAX_FIELD_BYTES = 16_384

_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE_VALUE = (
    r'(?:"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"|:[A-Za-z0-9+/=]*:|\?[01]|[A-Za-z0-9*.:/!#$%&\'+^_`|~-]+)'
)
_PARAMETERS = re.compile(rf"(?:; *[a-z*][a-z0-9_.*-]*(?:={_BARE_VALUE})?)*")
_COMMA = re.compile(r"[ \t]*,[ \t]*")
_ESCAPED = re.compile(r'\\(["\\])')


def parse_offers(values: Iterable[str]) -> tuple[str, ...]:
    """In their order. Nothing where the field is none that we read, or offers more than MAX_OFFERS.

    Args:
        values: of every `wt-available-protocols` field; together they are one list.
    """
    text = ", ".join(values).strip(" ")
    if not text or len(text) > MAX_FIELD_BYTES:
        return ()
    offers: list[str] = []
    at = 0
    while len(offers) < MAX_OFFERS:
        string = _STRING.match(text, at)
        if string is None:
            return ()
        offers.append(_ESCAPED.sub(r"\1", string[1]))
        parameters = _PARAMETERS.match(text, string.end())
        at = string.end() if parameters is None else parameters.end()
        if at == len(text):
            return tuple(offers)
        comma = _COMMA.match(text, at)
        if comma is None:
            return ()
        at = comma.end()
    return ()


def encode_offers(protocols: Iterable[str]) -> str:
    """Raises ValueError: one of them holds what is no visible ASCII."""
    return ", ".join(encode_choice(protocol) for protocol in protocols)


def encode_choice(protocol: str) -> str:
    """Raises ValueError: as above."""
    escaped = protocol.replace("\\", "\\\\").replace('"', '\\"')
    string = f'"{escaped}"'
    if _STRING.fullmatch(string) is None:
        raise ValueError("the name of a protocol is visible ASCII")
    return string


def parse_choice(value: str) -> str | None:
    """The one protocol that a server chose; None: the field is none that we read."""
    offers = parse_offers([value])
    return offers[0] if len(offers) == 1 else None
