"""Stripe's meter event stream, version 2: up to 100 events a request, under a session's token that lasts 15 minutes.

What is wrong with an event is only reported later (stripe_reports.py).

Source: API reference, `/v2/billing/meter_event_session` and `/v2/billing/meter_event_stream`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from gateway.metering.cloud_events import rfc3339
from gateway.metering.sinks.http_outcomes import FAILURES, outcome_of_failure, outcome_of_status
from gateway.metering.sinks.interface import Accepted, Outcome, Refused, TryAgain
from gateway.metering.sinks.pace import Pace
from gateway.metering.sinks.secrets import Secret, SecretUnreadable
from gateway.metering.sinks.stripe_lines import MeterLine, StripeLines
from gateway.metering.sinks.stripe_meter_events import error_of, fetch_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metering.sinks.interface import Outgoing
    from gateway.metering.sinks.settings import StripeEventStreamSettings

_SESSION_PATH = "/v2/billing/meter_event_session"
_STREAM_PATH = "/v2/billing/meter_event_stream"
_RENEW_BEFORE_S = 60.0
_SHORTEST_S = 900.0
"""What a session lasts, where its answer does not say."""
_MAX_ANSWER_BYTES = 16_384


class StripeEventStream:
    """Usage events go out together; a request is taken or refused as a whole."""

    def __init__(self, settings: StripeEventStreamSettings) -> None:
        self._api_url = settings.api_url.rstrip("/")
        self._stream_url = settings.stream_url.rstrip("/")
        self._key = Secret(settings.api_key, settings.api_key_file)
        self._lines = StripeLines(settings)
        self._pace = Pace(settings.events_per_s)
        self._token = ""
        self._renew_at_s = 0.0
        self._renewing = asyncio.Lock()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=settings.timeout_ms / 1_000))

    async def is_ready(self) -> bool:
        return True

    async def deliver(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        now_s = time.time()
        outcomes: list[Outcome] = [Accepted()] * len(batch)
        lines: list[MeterLine] = []
        sent: list[int] = []
        for index, out in enumerate(batch):
            found = self._lines.of(out.event, out.identifier, now_s=now_s)
            if isinstance(found, Accepted | TryAgain | Refused):
                outcomes[index] = found
            elif found:
                lines += found
                sent.append(index)
        if lines:
            outcome = await self._post(lines, is_batch=len(sent) > 1)
            for index in sent:
                outcomes[index] = outcome
        return outcomes

    async def _post(self, lines: Sequence[MeterLine], *, is_batch: bool) -> Outcome:
        await self._pace.turn(len(lines))
        body = msgspec.json.encode({"events": [_encode(line) for line in lines]})
        for attempt in range(2):
            token = await self._session()
            if isinstance(token, TryAgain):
                return token
            try:
                async with self._http.post(
                    self._stream_url + _STREAM_PATH,
                    data=body,
                    headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                    allow_redirects=False,
                ) as answer:
                    text = (await answer.content.read(_MAX_ANSWER_BYTES)).decode("utf-8", "replace")
            except FAILURES as error:
                return outcome_of_failure(error)
            if answer.status == 401 and attempt == 0:  # the session ended early; nothing was taken
                self._renew_at_s = 0.0
                continue
            detail = str(error_of(text).get("message", ""))
            return outcome_of_status(answer.status, answer.headers, detail, now_s=time.time(), is_batch=is_batch)
        return TryAgain("status_401")

    async def _session(self) -> str | TryAgain:
        """The token of a session that lasts a while yet. One renewal at a time."""
        async with self._renewing:
            if time.time() < self._renew_at_s:
                return self._token
            try:
                headers = {"Authorization": f"Bearer {self._key.text()}", "Content-Type": "application/json"}
            except SecretUnreadable:
                return TryAgain("no_token")
            try:
                async with self._http.post(
                    self._api_url + _SESSION_PATH, data=b"{}", headers=headers, allow_redirects=False
                ) as answer:
                    text = (await answer.content.read(_MAX_ANSWER_BYTES)).decode("utf-8", "replace")
            except FAILURES as error:
                return TryAgain(f"session_{outcome_of_failure(error).reason}")
            if answer.status in (401, 403):
                self._key.refused()
            session = _session_of(text) if 200 <= answer.status < 300 else None
            if session is None:
                again = outcome_of_status(answer.status, answer.headers, "", now_s=time.time(), is_batch=False)
                return TryAgain(
                    f"session_status_{answer.status}", again.after_ms if isinstance(again, TryAgain) else None
                )
            self._token, ends_s = session
            self._renew_at_s = ends_s - _RENEW_BEFORE_S
            return self._token

    async def fetch_event(self, event_id: str) -> dict[str, Any] | None:
        return await fetch_event(self._http, self._api_url, self._key, event_id)

    async def aclose(self) -> None:
        await self._http.close()


def _session_of(text: str) -> tuple[str, float] | None:
    """Token and end, Unix seconds; None if it is no session."""
    try:
        answer = msgspec.json.decode(text)
        token = answer["authentication_token"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    if not isinstance(token, str) or not token:
        return None
    try:
        ends_s = datetime.fromisoformat(answer["expires_at"]).timestamp()
    except (KeyError, TypeError, ValueError):
        ends_s = time.time() + _SHORTEST_S
    return token, ends_s


def _encode(line: MeterLine) -> dict[str, Any]:
    return {
        "event_name": line.meter,
        "identifier": line.identifier,
        "timestamp": rfc3339(line.at_ms),
        "payload": {"stripe_customer_id": line.customer, "value": str(line.value)},
    }
