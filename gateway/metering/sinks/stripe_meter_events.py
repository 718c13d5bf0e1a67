"""Stripe's meter events, version 1: one call for each, one at a time for each customer and meter.

Stripe keeps the answer of the first call with an Idempotency-Key, of a failed one (5xx) too; an identifier is unique
for 24 h at least. So a call is made again under its own identifier, and after a failure under another key.

Source: API reference, `/v1/billing/meter_events`; "Idempotent requests"; "Rate limits" (one concurrent call for each
customer and meter, 1,000 calls a second).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import aiohttp

from gateway.metering.sinks.http_outcomes import FAILURES, outcome_of_failure, outcome_of_status
from gateway.metering.sinks.interface import Accepted, Outcome, Refused, TryAgain
from gateway.metering.sinks.pace import Pace
from gateway.metering.sinks.secrets import Secret, SecretUnreadable
from gateway.metering.sinks.stripe_lines import MeterLine, StripeLines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.metering.sinks.interface import Outgoing
    from gateway.metering.sinks.settings import StripeMeterEventsSettings

_PATH = "/v1/billing/meter_events"
_MAX_ANSWER_BYTES = 16_384
_REMEMBERED_FAILURES = 10_000


class StripeMeterEvents:
    """A usage event is accepted when all its meter events are."""

    def __init__(self, settings: StripeMeterEventsSettings) -> None:
        self._url = settings.api_url.rstrip("/")
        self._key = Secret(settings.api_key, settings.api_key_file)
        self._lines = StripeLines(settings)
        self._pace = Pace(settings.calls_per_s)
        self._turns = asyncio.Semaphore(settings.concurrent_customers)
        self._failed: OrderedDict[str, int] = OrderedDict()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=settings.timeout_ms / 1_000))

    async def is_ready(self) -> bool:
        return True

    async def deliver(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        now_s = time.time()
        outcomes: list[Outcome] = [Accepted()] * len(batch)
        by_place: dict[tuple[str, str], list[tuple[int, MeterLine]]] = {}
        for index, out in enumerate(batch):
            lines = self._lines.of(out.event, out.identifier, now_s=now_s)
            if isinstance(lines, Accepted | TryAgain | Refused):
                outcomes[index] = lines
                continue
            for line in lines:
                by_place.setdefault((line.customer, line.meter), []).append((index, line))
        async with asyncio.TaskGroup() as tasks:
            for queue in by_place.values():
                tasks.create_task(self._send_in_turn(queue, outcomes))
        return outcomes

    async def _send_in_turn(self, queue: Sequence[tuple[int, MeterLine]], outcomes: list[Outcome]) -> None:
        stopped: TryAgain | None = None
        async with self._turns:
            for index, line in queue:
                outcome = stopped or await self._call(line)
                if isinstance(outcome, TryAgain) and stopped is None:
                    stopped = TryAgain(outcome.reason, outcome.after_ms)
                outcomes[index] = _worse(outcomes[index], outcome)

    async def _call(self, line: MeterLine) -> Outcome:
        await self._pace.turn()
        failures = self._failed.get(line.identifier, 0)
        form = {
            "event_name": line.meter,
            "timestamp": str(line.at_ms // 1_000),
            "identifier": line.identifier,
            "payload[stripe_customer_id]": line.customer,
            "payload[value]": str(line.value),
        }
        try:
            headers = {
                "Authorization": f"Bearer {self._key.text()}",
                "Idempotency-Key": line.identifier if not failures else f"{line.identifier}-{failures}",
            }
        except SecretUnreadable:
            return TryAgain("no_token")
        try:
            async with self._http.post(self._url + _PATH, data=form, headers=headers, allow_redirects=False) as answer:
                body = (await answer.content.read(_MAX_ANSWER_BYTES)).decode("utf-8", "replace")
                return self._outcome(line, answer.status, answer.headers, body)
        except FAILURES as error:
            return outcome_of_failure(error)

    def _outcome(self, line: MeterLine, status: int, headers: Mapping[str, str], body: str) -> Outcome:
        if status in (401, 403):
            self._key.refused()
        if status >= 500:
            self._failed[line.identifier] = self._failed.pop(line.identifier, 0) + 1
            if len(self._failed) > _REMEMBERED_FAILURES:
                self._failed.popitem(last=False)
        error = error_of(body)
        message = str(error.get("message", ""))
        if status == 400 and (error.get("code") == "duplicate_meter_event" or "already exists" in message):
            return Accepted()  # an earlier call arrived, and its answer did not
        if status == 409:  # another call with this key is under way
            return TryAgain("status_409", may_have_arrived=True, is_of_sink=False)
        outcome = outcome_of_status(status, headers, message, now_s=time.time(), is_batch=False)
        if not isinstance(outcome, Accepted):
            return outcome
        self._failed.pop(line.identifier, None)
        return outcome

    async def fetch_event(self, event_id: str) -> dict[str, Any] | None:
        return await fetch_event(self._http, self._url, self._key, event_id)

    async def aclose(self) -> None:
        await self._http.close()


def error_of(body: str) -> dict[str, Any]:
    """The `error` of an answer of Stripe's; empty for anything else."""
    try:
        error = json.loads(body).get("error", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}


async def fetch_event(http: aiohttp.ClientSession, url: str, key: Secret, event_id: str) -> dict[str, Any] | None:
    """The whole of an event of which a thin one was sent (`/v2/core/events`); None: it could not be had."""
    if not event_id.replace("_", "").isalnum():
        return None
    try:
        headers = {"Authorization": f"Bearer {key.text()}"}
        async with http.get(f"{url}/v2/core/events/{event_id}", headers=headers, allow_redirects=False) as answer:
            found = await answer.json(content_type=None) if answer.status == 200 else None
    except (*FAILURES, SecretUnreadable, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _worse(one: Outcome, other: Outcome) -> Outcome:
    for kind in (Refused, TryAgain):
        for outcome in (one, other):
            if isinstance(outcome, kind):
                return outcome
    return one
