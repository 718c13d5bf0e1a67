"""Notices of Amazon EC2, from its instance metadata service, version 2.

Sources: EC2 User Guide, "Spot Instance interruption notices" (instance-action, 404 while there is none, poll every
5 s, best effort), "EC2 instance rebalance recommendations", "Use IMDSv2" (token by PUT, its life at most 21,600 s, 401
for one that is over).
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from engines.preemption.asking import MetadataClient, SourceAway
from engines.preemption.watching import watch
from policies.preemption import Confidence, MachineAction, NoticeKind, PreemptionNotice

if TYPE_CHECKING:
    from engines.preemption.asking import Answer
    from engines.preemption.interface import NoticeListener

ENDPOINT = "http://169.254.169.254"
ENDPOINT_IPV6 = "http://[fd00:ec2::254]"
NAME = "aws"
_TOKEN_PATH = "/latest/api/token"
_ACTION_PATH = "/latest/meta-data/spot/instance-action"
_REBALANCE_PATH = "/latest/meta-data/events/recommendations/rebalance"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"
_TOKEN_LIFE_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_LIFE_S = 21_600
_RENEW_BEFORE_S = 300
_TIMEOUT_S = 2.0
_INTERRUPTION_LEAD_MS = 120_000
_CLOCK_SLACK_MS = 5_000
"""A clock that is so far off still lets the time of a notice be believed."""


class AwsSource:
    """Spot interruptions and rebalance recommendations of this instance."""

    name = NAME

    def __init__(
        self, *, endpoint: str = ENDPOINT, poll_interval_s: float = 5.0, token_life_s: int = _TOKEN_LIFE_S
    ) -> None:
        self._client = MetadataClient(endpoint)
        self._poll_interval_s = poll_interval_s
        self._token_life_s = token_life_s
        self._token = ""
        self._renew_at_s = 0.0

    async def run(self, listener: NoticeListener) -> None:
        await watch(self, listener, interval_s=self._poll_interval_s)

    async def release(self, event_ids: frozenset[str]) -> None:
        """Nobody can be told."""

    async def aclose(self) -> None:
        await self._client.aclose()

    async def poll(self) -> list[PreemptionNotice]:
        """Raises SourceAway: neither can be read, or one cannot and the other says nothing."""
        found: list[PreemptionNotice] = []
        unread: SourceAway | None = None
        for path, read in ((_ACTION_PATH, _interruption), (_REBALANCE_PATH, _rebalance)):
            try:
                notice = read(await self._get(path))
            except SourceAway as error:
                unread = error
                continue
            if notice is not None:
                found.append(notice)
        if unread is not None and not found:
            raise unread
        return found

    async def _get(self, path: str) -> Answer | None:
        """None: nothing of the kind is pending."""
        if time.monotonic() >= self._renew_at_s:
            await self._renew()
        answer = await self._ask(path)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            await self._renew()
            answer = await self._ask(path)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise SourceAway(f"HTTP {answer.status}")
        return answer

    async def _ask(self, path: str) -> Answer:
        return await self._client.ask("GET", path, timeout_s=_TIMEOUT_S, headers={_TOKEN_HEADER: self._token})

    async def _renew(self) -> None:
        life = {_TOKEN_LIFE_HEADER: str(self._token_life_s)}
        answer = await self._client.ask("PUT", _TOKEN_PATH, timeout_s=_TIMEOUT_S, headers=life)
        token = answer.text.strip()
        if answer.status != HTTPStatus.OK or not token.isascii() or not token.isprintable() or not token:
            raise SourceAway(f"no token: HTTP {answer.status}")
        self._token = token
        self._renew_at_s = time.monotonic() + max(self._token_life_s / 2, self._token_life_s - _RENEW_BEFORE_S)


def _interruption(answer: Answer | None) -> PreemptionNotice | None:
    """Raises SourceAway: the service says something that is no notice."""
    if answer is None:
        return None
    told = _object(answer.text)
    action, due = told.get("action"), told.get("time")
    if not isinstance(action, str) or action not in _ACTIONS or not isinstance(due, str):
        raise SourceAway("no notice: unknown action or time")
    lead_ms = _believed_lead_ms(_unix_ms(due), _clock_unix_ms(answer))
    return PreemptionNotice(
        source=NAME,
        event_id=f"{action} {due}",
        kind=NoticeKind.interruption,
        action=_ACTIONS[action],
        told_at_ms=_now_ms(),
        lead_ms=lead_ms,
        confidence=Confidence.unproven if lead_ms is None else Confidence.proven,
    )


def _rebalance(answer: Answer | None) -> PreemptionNotice | None:
    if answer is None:
        return None
    noticed = _object(answer.text).get("noticeTime")
    if not isinstance(noticed, str):
        raise SourceAway("no recommendation: no noticeTime")
    _unix_ms(noticed)
    return PreemptionNotice(
        source=NAME,
        event_id=f"rebalance {noticed}",
        kind=NoticeKind.rebalance,
        action=MachineAction.unknown,
        told_at_ms=_now_ms(),
    )


def _believed_lead_ms(due_unix_ms: int, now_unix_ms: int) -> int | None:
    """None: the time is past, or further ahead than EC2 gives: a clock is wrong, and it proves nothing."""
    lead_ms = due_unix_ms - now_unix_ms
    if not 0 < lead_ms <= _INTERRUPTION_LEAD_MS + _CLOCK_SLACK_MS:
        return None
    return min(lead_ms, _INTERRUPTION_LEAD_MS)


def _clock_unix_ms(answer: Answer) -> int:
    """The service's own clock where it tells it; it is the one that the notice was written by."""
    try:
        return int(parsedate_to_datetime(answer.headers.get("date", "")).timestamp() * 1_000)
    except (ValueError, TypeError, OverflowError):
        return time.time_ns() // 1_000_000


def _unix_ms(text: str) -> int:
    """Of `2017-09-18T08:22:00Z`. Raises SourceAway."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise SourceAway("a time that is none") from None
    if at.tzinfo is None:
        raise SourceAway("a time without its zone")
    try:
        return int(at.timestamp() * 1_000)
    except (OverflowError, ValueError):
        raise SourceAway("a time that is none") from None


def _object(text: str) -> dict[str, object]:
    """Raises SourceAway."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise SourceAway("an answer that is no JSON") from None
    if not isinstance(told, dict):
        raise SourceAway("an answer that is no JSON object")
    return told


def _now_ms() -> int:
    return int(time.monotonic() * 1_000)


_ACTIONS = {
    "terminate": MachineAction.terminate,
    "stop": MachineAction.stop,
    "hibernate": MachineAction.hibernate,
}
