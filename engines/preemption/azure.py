"""Notices of Azure: the Scheduled Events of its metadata service.

Events of a whole scale set or availability set come to each of its machines: only those that name this one count. An
acknowledged event begins at once, for all machines that it names: only one that names this machine alone, that the
engine left for, is acknowledged, and only by the last engine of the machine.

Source: Azure Virtual Machines, "Scheduled Events for Linux VMs", version 2020-07-01 (Metadata header, the first answer
within two minutes, poll every second, NotBefore empty once Started, StartRequests; Preempt at least 30 s, best effort).
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog

from engines.preemption.asking import MetadataClient, SourceAway
from engines.preemption.watching import watch
from policies.preemption import Confidence, MachineAction, NoticeKind, PreemptionNotice

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.preemption.asking import Answer
    from engines.preemption.interface import NoticeListener

ENDPOINT = "http://169.254.169.254"
NAME = "azure"
_EVENTS_PATH = "/metadata/scheduledevents?api-version=2020-07-01"
_NAME_PATH = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
_HEADERS = {"Metadata": "true"}
_FIRST_ANSWER_S = 130.0
_ANSWER_S = 5.0
_ACKNOWLEDGE_S = 2.0
_LONGEST_LEAD_MS = 8 * 24 * 3_600_000
"""Degraded hardware is told up to seven days ahead."""
_STARTED = "Started"
_SCHEDULED = "Scheduled"

log = structlog.get_logger("engine")


class AzureSource:
    """Scheduled events of this machine.

    Args:
        machine: its name as events spell it; empty: the metadata service says it.
        is_last: whether no other engine of this machine watches; asked before an event is acknowledged.
    """

    name = NAME

    def __init__(
        self,
        *,
        endpoint: str = ENDPOINT,
        poll_interval_s: float = 1.0,
        machine: str = "",
        is_last: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = MetadataClient(endpoint)
        self._poll_interval_s = poll_interval_s
        self._machine = machine
        self._is_last = is_last
        self._timeout_s = _FIRST_ANSWER_S
        self._alone: frozenset[str] = frozenset()
        """Events that name this machine alone and have not begun."""

    async def run(self, listener: NoticeListener) -> None:
        await watch(self, listener, interval_s=self._poll_interval_s)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def poll(self) -> list[PreemptionNotice]:
        """Raises SourceAway."""
        if not self._machine:
            self._machine = await self._own_name()
        answer = await self._client.ask("GET", _EVENTS_PATH, timeout_s=self._timeout_s, headers=_HEADERS)
        if answer.status != HTTPStatus.OK:
            raise SourceAway(f"HTTP {answer.status}")
        self._timeout_s = _ANSWER_S
        rows = [row for row in _events(answer.text) if self._machine.casefold() in _machines(row)]
        notices = [notice for row in rows if (notice := _notice(row, answer)) is not None]
        self._alone = frozenset(
            row["EventId"] for row in rows if len(_machines(row)) == 1 and row.get("EventStatus") == _SCHEDULED
        )
        return notices

    async def release(self, event_ids: frozenset[str]) -> None:
        """Acknowledge what the engine left for."""
        due = sorted(event_ids & self._alone)
        if not due or not self._is_last():
            return
        body = {"StartRequests": [{"EventId": event_id} for event_id in due]}
        try:
            answer = await self._client.ask(
                "POST", _EVENTS_PATH, timeout_s=_ACKNOWLEDGE_S, headers=_HEADERS, json_body=body
            )
        except SourceAway as error:
            log.warning("preemption.not_acknowledged", source=NAME, error=str(error))
            return
        if answer.status != HTTPStatus.OK:
            log.warning("preemption.not_acknowledged", source=NAME, error=f"HTTP {answer.status}")
            return
        log.info("preemption.acknowledged", source=NAME, events=len(due))

    async def _own_name(self) -> str:
        answer = await self._client.ask("GET", _NAME_PATH, timeout_s=_ANSWER_S, headers=_HEADERS)
        name = answer.text.strip()
        if answer.status != HTTPStatus.OK or not name or not name.isprintable():
            raise SourceAway(f"no name of this machine: HTTP {answer.status}")
        return name


def _events(text: str) -> list[dict[str, Any]]:
    """What can be read of the document; rows that are no events are passed over. Raises SourceAway."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise SourceAway("an answer that is no JSON") from None
    rows = told.get("Events") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise SourceAway("an answer without Events")
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("EventId"), str) and row["EventId"]]


def _machines(row: dict[str, Any]) -> frozenset[str]:
    """Whom an event is about; names of machines are the same in capitals."""
    names = row.get("Resources")
    if row.get("ResourceType", "VirtualMachine") != "VirtualMachine" or not isinstance(names, list):
        return frozenset()
    return frozenset(name.casefold() for name in names if isinstance(name, str))


def _notice(row: dict[str, Any], answer: Answer) -> PreemptionNotice | None:
    """None: of a type that says nothing to an engine, or over."""
    type_, status = row.get("EventType"), row.get("EventStatus")
    if not isinstance(type_, str) or type_ not in _TYPES or status not in (_SCHEDULED, _STARTED):
        return None
    kind, action = _TYPES[type_]
    has_begun = status == _STARTED
    lead_ms = 0 if has_begun else _lead_ms(row.get("NotBefore"), answer)
    # It does not begin before its time. Of a preemption that is said to be at best effort.
    is_proven = lead_ms is not None and type_ != "Preempt"
    return PreemptionNotice(
        source=NAME,
        event_id=f"{row['EventId']} started" if has_begun else row["EventId"],
        kind=kind,
        action=action,
        told_at_ms=int(time.monotonic() * 1_000),
        lead_ms=lead_ms,
        confidence=Confidence.proven if is_proven else Confidence.unproven,
    )


def _lead_ms(not_before: object, answer: Answer) -> int | None:
    """None: no time, one that is past, or one beyond all that is given: it proves nothing."""
    if not isinstance(not_before, str):
        return None
    due_unix_ms = _unix_ms(not_before)
    now_unix_ms = _unix_ms(answer.headers.get("date", "")) or time.time_ns() // 1_000_000
    lead_ms = 0 if due_unix_ms is None else due_unix_ms - now_unix_ms
    return lead_ms if 0 < lead_ms <= _LONGEST_LEAD_MS else None


def _unix_ms(text: str) -> int | None:
    """Of `Mon, 19 Sep 2016 18:29:47 GMT`."""
    try:
        return int(parsedate_to_datetime(text).timestamp() * 1_000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


_TYPES = {
    "Preempt": (NoticeKind.interruption, MachineAction.terminate),
    "Terminate": (NoticeKind.interruption, MachineAction.terminate),
    "Reboot": (NoticeKind.maintenance, MachineAction.restart),
    "Redeploy": (NoticeKind.maintenance, MachineAction.restart),
    "Freeze": (NoticeKind.maintenance, MachineAction.freeze),
}
