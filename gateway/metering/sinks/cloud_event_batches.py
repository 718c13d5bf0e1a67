"""CloudEvents over HTTP, in batches or one by one: any receiver of them, and OpenMeter's ingest.

OpenMeter drops events whose (source, id) it knows only where its de-duplication is switched on, which by default it is
not: without it a lost answer counts twice there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import aiohttp

from gateway.metering import cloud_events
from gateway.metering.sinks.http_outcomes import FAILURES, outcome_of_failure, outcome_of_status
from gateway.metering.sinks.interface import Outcome, TryAgain
from gateway.metering.sinks.secrets import Secret, SecretUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metering.sinks.interface import Outgoing
    from gateway.metering.sinks.settings import HttpSinkSettings, OpenMeterSettings

_OPENMETER_PATH = "/api/v1/events"
_MAX_ANSWER_BYTES = 4_096


class CloudEventBatches:
    """A batch is one request, taken or refused as a whole; in single mode each event is."""

    def __init__(self, settings: HttpSinkSettings | OpenMeterSettings, *, source: str) -> None:
        self._url = settings.url if settings.kind == "http" else settings.url.rstrip("/") + _OPENMETER_PATH
        self._is_single = settings.kind == "http" and settings.mode == "single"
        self._source = source
        self._token = Secret(settings.token, settings.token_file)
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=settings.timeout_ms / 1_000))

    async def is_ready(self) -> bool:
        return True

    async def deliver(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        if not self._is_single:
            return [await self._post(batch)] * len(batch)
        outcomes: list[Outcome] = []
        for out in batch:
            if outcomes and isinstance(outcomes[-1], TryAgain):
                outcomes.append(TryAgain(outcomes[-1].reason, outcomes[-1].after_ms))  # it was not sent
            else:
                outcomes.append(await self._post([out]))
        return outcomes

    async def _post(self, batch: Sequence[Outgoing]) -> Outcome:
        if self._is_single:
            content_type = cloud_events.SINGLE_CONTENT_TYPE
            body = cloud_events.encode_single(batch[0].event, source=self._source)
        else:
            content_type = cloud_events.BATCH_CONTENT_TYPE
            body = cloud_events.encode_batch((out.event for out in batch), source=self._source)
        headers = {"Content-Type": content_type}
        try:
            if self._token.is_given:
                headers["Authorization"] = f"Bearer {self._token.text()}"
        except SecretUnreadable:
            return TryAgain("no_token")
        try:
            async with self._http.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                text = (await answer.content.read(_MAX_ANSWER_BYTES)).decode("utf-8", "replace")
                if answer.status in (401, 403):
                    self._token.refused()
                return outcome_of_status(
                    answer.status, answer.headers, text, now_s=time.time(), is_batch=len(batch) > 1
                )
        except FAILURES as error:
            return outcome_of_failure(error)

    async def aclose(self) -> None:
        await self._http.close()
