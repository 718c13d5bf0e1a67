"""Stripe's meter events as documented: v1 and the v2 stream, with their limits, on a clock that a test can set.

What is wrong with an event's content comes back only later, as a signed, thin event; its data is fetched by id.

Source: docs.stripe.com, "Record usage for billing" and the API reference of meter events, v1 and v2.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from tests.harness.receivers import Receiver

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY_S = 86_400
OLDEST_S = 35 * DAY_S
NEWEST_S = 300
SESSION_S = 900
MAX_EVENTS = 100


class StripeReceiver(Receiver):
    """`customers`, `meters`: those that there are; an event for another one is reported later."""

    def __init__(
        self, *, api_key: str = "sk_test_1", webhook_secret: str = "whsec_1", took_s: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__(seed=seed)
        self.api_key = api_key
        self.webhook_secret = webhook_secret
        self.took_s = took_s
        """How long one v1 call takes: long enough that a second one of the same customer and meter would meet it."""
        self.offset_s = 0.0
        """What the clock is ahead of this machine's."""
        self.customers = {"cus_acme"}
        self.meters = {"speech"}
        self.totals: Counter[tuple[str, str]] = Counter()
        """By customer and meter, as billed."""
        self.seen: dict[str, float] = {}
        """Identifiers, and when they were accepted first within the last 24 h."""
        self.arrivals: Counter[str] = Counter()
        self.keeps_failures = False
        """Whether an injected failure is what its Idempotency-Key is answered from then on."""
        self.too_many_at_once = 0
        self.sessions: dict[str, float] = {}
        self.requests_of_stream: list[int] = []
        self._busy: set[tuple[str, str]] = set()
        self._answers: dict[str, tuple[int, Any]] = {}
        self._bad: dict[str, list[tuple[str, str]]] = {}
        self._reports: dict[str, Any] = {}

    async def handled(self, request: web.Request, answer: web.StreamResponse) -> None:
        key = request.headers.get("Idempotency-Key")
        if self.keeps_failures and key and answer.status >= 500:
            self._answers[key] = (answer.status, {"error": {"type": "api_error"}})

    def now_s(self) -> float:
        return time.time() + self.offset_s

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/billing/meter_events", self._v1)
        app.router.add_post("/v2/billing/meter_event_session", self._open_session)
        app.router.add_post("/v2/billing/meter_event_stream", self._v2)
        app.router.add_get("/v2/core/events/{id}", self._event)

    # --- v1 -----------------------------------------------------------------------------------------------------

    async def _v1(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _error(401, "Invalid API Key provided")
        form = await request.post()
        key = request.headers.get("Idempotency-Key", "")
        if key in self._answers:
            status, body = self._answers[key]
            return web.json_response(body, status=status, headers={"Idempotent-Replayed": "true"})
        fields = {name: str(value) for name, value in form.items()}
        place = (fields.get("payload[stripe_customer_id]", ""), fields.get("event_name", ""))
        if place in self._busy:
            self.too_many_at_once += 1
            return _error(429, "one call at once for each customer and meter", code="rate_limit")
        self._busy.add(place)
        try:
            await asyncio.sleep(self.took_s)
            status, body = self._take_v1(fields, place)
        finally:
            self._busy.discard(place)
        if key:
            self._answers[key] = (status, body)
        return web.json_response(body, status=status)

    def _take_v1(self, fields: Mapping[str, str], place: tuple[str, str]) -> tuple[int, Any]:
        identifier = fields.get("identifier", "")
        now_s = self.now_s()
        at_s = int(fields.get("timestamp", now_s))
        if not identifier or len(identifier) > 100 or not place[1]:
            return 400, _error_body("Missing or invalid parameter")
        if not now_s - OLDEST_S <= at_s <= now_s + NEWEST_S:
            return 400, _error_body("Timestamp out of range", code="timestamp_out_of_range")
        if self._is_known(identifier, now_s):
            return 400, _error_body(f"An event already exists with identifier {identifier}.")
        self._take(identifier, place, fields.get("payload[value]", ""), now_s)
        return 200, {"object": "billing.meter_event", "identifier": identifier, "event_name": place[1]}

    # --- v2 -----------------------------------------------------------------------------------------------------

    async def _open_session(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _error(401, "Invalid API Key provided")
        token = f"token_{len(self.sessions)}"
        self.sessions[token] = self.now_s() + SESSION_S
        ends = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self.sessions[token]))
        return web.json_response(
            {"object": "v2.billing.meter_event_session", "authentication_token": token, "expires_at": ends}
        )

    async def _v2(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.sessions.get(token, 0.0) <= self.now_s():
            return _error(401, "billing_meter_event_session_expired", code="billing_meter_event_session_expired")
        events = json.loads(await request.read()).get("events", [])
        if not 0 < len(events) <= MAX_EVENTS:
            return _error(400, "too many events")
        if any(not event.get("identifier") or not event.get("event_name") for event in events):
            return _error(400, "Missing or invalid parameter")
        self.requests_of_stream.append(len(events))
        now_s = self.now_s()
        for event in events:
            payload = event["payload"]
            place = (payload.get("stripe_customer_id", ""), event["event_name"])
            if not self._is_known(event["identifier"], now_s):
                self._take(event["identifier"], place, payload.get("value", ""), now_s)
            else:
                self.arrivals[event["identifier"]] += 1
        return web.json_response({})

    # --- both ---------------------------------------------------------------------------------------------------

    def _is_known(self, identifier: str, now_s: float) -> bool:
        """Unique for 24 h, and not longer."""
        return now_s - self.seen.get(identifier, float("-inf")) < DAY_S

    def _take(self, identifier: str, place: tuple[str, str], value: str, now_s: float) -> None:
        self.seen[identifier] = now_s
        self.arrivals[identifier] += 1
        customer, meter = place
        if meter not in self.meters:
            self._bad.setdefault("no_meter", []).append((identifier, f"No meter found with event name {meter}"))
        elif customer not in self.customers:
            self._bad.setdefault("meter_event_customer_not_found", []).append((identifier, "Customer not found"))
        else:
            self.totals[place] += int(value)

    # --- late reports ---------------------------------------------------------------------------------------------

    @property
    def has_reports(self) -> bool:
        return bool(self._bad)

    async def send_reports(self, webhook: str, *, is_signed: bool = True, at_s: float | None = None) -> list[int]:
        """Report what was wrong with events; the statuses that the webhook answered. Nothing is reported twice."""
        statuses = []
        bad, self._bad = self._bad, {}
        for code, errors in bad.items():
            name = "no_meter_found" if code == "no_meter" else "error_report_triggered"
            event_id = f"evt_{len(self._reports)}"
            thin = {"id": event_id, "object": "v2.core.event", "type": f"v1.billing.meter.{name}"}
            samples = [{"error_message": text, "request": {"identifier": identifier}} for identifier, text in errors]
            self._reports[event_id] = thin | {
                "data": {
                    "developer_message_summary": f"There are {len(errors)} invalid event(s)",
                    "reason": {
                        "error_count": len(errors),
                        "error_types": [{"code": code, "error_count": len(errors), "sample_errors": samples}],
                    },
                }
            }
            statuses.append(await post_signed(webhook, thin, self.webhook_secret if is_signed else "wrong", at_s=at_s))
        return statuses

    async def _event(self, request: web.Request) -> web.Response:
        report = self._reports.get(request.match_info["id"])
        if report is None or request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _error(404, "No such event")
        return web.json_response(report)


async def post_signed(url: str, event: Mapping[str, Any], secret: str, *, at_s: float | None = None) -> int:
    """Send a webhook with Stripe's signature; the status of the answer."""
    body = json.dumps(event).encode()
    at = str(int(time.time() if at_s is None else at_s))
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as response:
        return response.status


def _error_body(message: str, *, code: str = "invalid_request") -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "code": code, "message": message}}


def _error(status: int, message: str, *, code: str = "invalid_request") -> web.Response:
    return web.json_response(_error_body(message, code=code), status=status)
