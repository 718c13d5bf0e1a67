"""The text of a WebSocket close frame: the reason, and what a client may do with it.

    text = reason *( "; " name "=" value )        name and value: characters of [A-Za-z0-9_.-]

`quota_exhausted; retry_after_ms=1500; level=org`. A reader takes what stands before the first `;` as the reason and
passes over names that it does not know. Pure.
"""

from __future__ import annotations

import re

from gateway.wire.messages import ErrorMessage

MAX_BYTES = 123
"""RFC 6455 §5.5: a control frame carries 125 bytes, two of them the code."""

_PAIR = re.compile(r"([A-Za-z0-9_.-]+)=([A-Za-z0-9_.-]+)")
_DIGITS = re.compile(r"[0-9]{1,12}")


def close_text(error: ErrorMessage) -> str:
    """At most MAX_BYTES of ASCII, never cut within a pair."""
    text = error.reason
    hints = (("retry_after_ms", error.retry_after_ms), ("level", error.level))
    for name, value in hints:
        longer = f"{text}; {name}={value}"
        if value is not None and len(longer) <= MAX_BYTES:
            text = longer
    return text


def read_close_text(text: str) -> tuple[str, dict[str, str]]:
    """The reason, and the hints by name. Takes any text; what is no hint is passed over."""
    reason, *rest = text.split(";")
    hints = {}
    for piece in rest:
        pair = _PAIR.fullmatch(piece.strip())
        if pair is not None:
            hints[pair[1]] = pair[2]
    return reason.strip(), hints


def retry_after_ms_of(text: str) -> int | None:
    """The hint by that name, if it is there and a number."""
    value = read_close_text(text)[1].get("retry_after_ms", "")
    return int(value) if _DIGITS.fullmatch(value) else None
