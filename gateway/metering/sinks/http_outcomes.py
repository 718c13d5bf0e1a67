"""What an HTTP answer, or none, means for the events that were sent.

A refusal of the event itself (most of 4xx) is for ever. A refusal of us (401, 403, 404, 405, 407, redirects) is a wrong
setting: the events wait until it is put right, or until they are too old.
"""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp

from gateway.metering.sinks.interface import Accepted, Outcome, Refused, TryAgain

if TYPE_CHECKING:
    from collections.abc import Mapping

FAILURES = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""All that aiohttp raises for what the network or the receiver did."""
_OF_OURS = frozenset({401, 403, 404, 405, 407})
_NOT_NOW = frozenset({408, 425, 429})
_MAX_RETRY_AFTER_MS = 3_600_000


def outcome_of_status(status: int, headers: Mapping[str, str], body: str, *, now_s: float, is_batch: bool) -> Outcome:
    """`body`: what stood in the answer, for people."""
    if 200 <= status < 300:
        return Accepted()
    reason = f"status_{status}"
    if status >= 500 or status in _NOT_NOW:
        after_ms = retry_after_ms(headers.get("Retry-After"), now_s=now_s)
        return TryAgain(reason, after_ms, may_have_arrived=status >= 500 or status == 408)
    if status in _OF_OURS or status < 400:
        return TryAgain(reason)
    return Refused(reason, body[:300], is_of_batch=is_batch)


def outcome_of_failure(error: BaseException) -> TryAgain:
    """Only where no connection came about it is certain that nothing arrived."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return TryAgain("unreachable")
    if isinstance(error, TimeoutError):
        return TryAgain("timed_out", may_have_arrived=True)
    return TryAgain("connection_lost", may_have_arrived=True)


def retry_after_ms(text: str | None, *, now_s: float) -> int | None:
    """Seconds or a date (RFC 9110 §10.2.3), at most an hour; None for anything else."""
    if text is None:
        return None
    seconds = text.strip()
    if seconds.isdecimal() and len(seconds) < 12:
        return min(int(seconds) * 1_000, _MAX_RETRY_AFTER_MS)
    try:
        at_s = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0, int((at_s - now_s) * 1_000)), _MAX_RETRY_AFTER_MS)
