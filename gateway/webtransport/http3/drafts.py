"""The drafts of WebTransport over HTTP/3: what each is known by, and what both sides have to send for it. Pure.

Sources: draft-ietf-webtrans-http3-02, -07, -13 and -16. Chromium 156 asks for the setting of draft-02 and looks at no
other; Safari 26.4 asks for that of draft-13 beside that of draft-07. The settings of all drafts may stand beside each
other, because an unknown one is passed over (RFC 9114 §7.2.4.1).

WT_INITIAL_MAX_* of draft-13 are never among them: Safari cancels its request where they are, and waits for the limits
as capsules instead. Draft-15 (0x2c7cf000) is not offered: it needs RESET_STREAM_AT in QUIC, which aioquic lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.webtransport.interface import Draft

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_FIELD_SECTION_SIZE = 0x6
ENABLE_CONNECT_PROTOCOL = 0x8
H3_DATAGRAM = 0x33
ENABLE_WEBTRANSPORT_02 = 0x2B603742
MAX_SESSIONS_07 = 0xC671706A
MAX_SESSIONS_13 = 0x14E9CD29

_NEWEST_FIRST = (
    (Draft.draft13, MAX_SESSIONS_13),
    (Draft.draft07, MAX_SESSIONS_07),
    (Draft.draft02, ENABLE_WEBTRANSPORT_02),
)

TOKEN = "webtransport"
TOKEN_H3 = "webtransport-h3"
"""Since draft-15; taken from clients that say so whatever our settings are."""
TOKENS = frozenset({TOKEN, TOKEN_H3})

DRAFT02_HEADER = "sec-webtransport-http3-draft02"
DRAFT02_ANSWER = ("sec-webtransport-http3-draft", "draft02")

SESSION_GONE = 0x170D7B68
"""Streams of a session that is over are reset and stopped with it."""
BUFFERED_STREAM_REJECTED = 0x3994BD84
"""A stream whose session is not known."""

STREAM_REFUSED = 1
"""An application's code, ours: a session has one stream, the first that its client opened in both directions."""

_FIRST_ERROR = 0x52E4A40FA8DB
_LAST_ERROR = 0x52E5AC983162


def server_settings(*, max_sessions: int, max_field_section_bytes: int) -> dict[int, int]:
    """What a server that takes every draft sends.

    One session for draft-13: with more, its flow control would be agreed, and the credit of QUIC is the one that we
    keep.
    """
    return {
        MAX_FIELD_SECTION_SIZE: max_field_section_bytes,
        ENABLE_CONNECT_PROTOCOL: 1,
        H3_DATAGRAM: 1,
        ENABLE_WEBTRANSPORT_02: 1,
        MAX_SESSIONS_07: max_sessions,
        MAX_SESSIONS_13: 1,
    }


def client_settings(draft: Draft) -> dict[int, int]:
    """What a client sends that speaks this draft alone. Safari sends the setting of draft-07 beside its own."""
    settings = {H3_DATAGRAM: 1}
    if draft is Draft.draft02:
        settings[ENABLE_WEBTRANSPORT_02] = 1
    if draft in (Draft.draft07, Draft.draft13):
        settings[MAX_SESSIONS_07] = 1
    if draft is Draft.draft13:
        settings[MAX_SESSIONS_13] = 1
    return settings


def client_headers(draft: Draft) -> tuple[tuple[str, str], ...]:
    """What the CONNECT of a client carries beside the usual."""
    return ((DRAFT02_HEADER, "1"),) if draft is Draft.draft02 else ()


def server_supports(settings: Mapping[int, int], draft: Draft) -> bool:
    """Whether a client of this draft may ask for a session at a server with these settings."""
    own = next(setting for known, setting in _NEWEST_FIRST if known is draft)
    return all(settings.get(setting, 0) >= 1 for setting in (own, H3_DATAGRAM, ENABLE_CONNECT_PROTOCOL))


def agreed_draft(
    settings: Mapping[int, int], *, protocol: str, headers: Iterable[tuple[str, str]] = ()
) -> Draft | None:
    """The newest draft that a client speaks; None: it asks for something else than WebTransport.

    Args:
        settings: the client's SETTINGS. Some libraries send none of WebTransport; their request is taken at its word.
        protocol: `:protocol` of its CONNECT.
    """
    if protocol not in TOKENS:
        return None
    for draft, setting in _NEWEST_FIRST:
        if settings.get(setting, 0) >= 1:
            return draft
    if protocol == TOKEN_H3 and all(name != DRAFT02_HEADER for name, _ in headers):
        return Draft.draft13
    return Draft.draft02


def needs_limits(draft: Draft) -> bool:
    """Whether the client opens streams and sends only what capsules after the acceptance have allowed."""
    return draft is Draft.draft13


def wire_error(code: int) -> int:
    """An application's error code of a stream (any u32), as RESET_STREAM and STOP_SENDING carry it."""
    return _FIRST_ERROR + code + code // 0x1E


def application_error(wire: int) -> int | None:
    """The application's code; None: it is none of an application (reserved, or of HTTP/3)."""
    if not _FIRST_ERROR <= wire <= _LAST_ERROR or (wire - 0x21) % 0x1F == 0:
        return None
    shifted = wire - _FIRST_ERROR
    return shifted - shifted // 0x1F
