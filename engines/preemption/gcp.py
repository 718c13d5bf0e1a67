"""Notices of Google Compute Engine, from its metadata server.

`instance/preempted` becomes TRUE when the machine is being taken away, and the request for it hangs until then. A
machine that was made with `--preemption-notice-duration=120s` gets no other key: `preempted` is TRUE that long before
the operating system is told to shut down, instead of at the same moment. Nothing in the metadata says which it is, so
the operator does.

Sources: Compute Engine, "Create and use Spot VMs" (preempted, preemption notice duration), "View and query VM metadata"
(wait_for_change, last_etag, timeout_sec, Metadata-Flavor in both directions, 503 while the server is worked on),
"Query metadata server for maintenance event notices" (maintenance-event changes 60 s ahead).
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from engines.preemption.asking import MetadataClient, SourceAway
from engines.preemption.watching import Teller, wait_s
from policies.preemption import Confidence, MachineAction, NoticeKind, PreemptionNotice

if TYPE_CHECKING:
    from engines.preemption.interface import NoticeListener

ENDPOINT = "http://metadata.google.internal"
NAME = "gcp"
_INSTANCE_PATH = "/computeMetadata/v1/instance/"
_FLAVOR = {"Metadata-Flavor": "Google"}
_NO_ETAG = "0"
"""No value has it: the first question is answered at once."""
_ANSWER_S = 5.0
_MAINTENANCE_LEAD_MS = 60_000


class GcpSource:
    """Preemption and host maintenance of this machine.

    Args:
        notice_ms: the preemption notice duration that the machine was made with; 0: none.
        hang_s: how long the server holds a question before it answers that nothing has changed.
    """

    name = NAME

    def __init__(
        self, *, endpoint: str = ENDPOINT, poll_interval_s: float = 1.0, notice_ms: int = 0, hang_s: int = 60
    ) -> None:
        self._client = MetadataClient(endpoint)
        self._retry_s = poll_interval_s
        self._hang_s = hang_s
        self._notice_ms = notice_ms

    async def run(self, listener: NoticeListener) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow("preempted", self._preempted, Teller(NAME, listener)))
            tasks.create_task(self._follow("maintenance-event", _maintenance, Teller(f"{NAME} maintenance", listener)))

    async def release(self, event_ids: frozenset[str]) -> None:
        """Nobody can be told."""

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _follow(self, key: str, read: _Reader, teller: Teller) -> None:
        """Each change of one key. The answer carries the server's mark for it; the next question waits for another.

        A server that does not let it wait is asked no more often than any other.
        """
        etag = _NO_ETAG
        while True:
            asked_at_s = time.monotonic()
            try:
                value, etag = await self._ask(key, etag)
                pending = read(value)
            except SourceAway as error:
                teller.away(str(error))
                etag = _NO_ETAG
                await asyncio.sleep(wait_s(self._retry_s, teller.failures))
                continue
            teller.heard([] if pending is None else [pending])
            await asyncio.sleep(max(0.0, asked_at_s + self._retry_s - time.monotonic()))

    async def _ask(self, key: str, etag: str) -> tuple[str, str]:
        """Give the key's value and its mark. Raises SourceAway."""
        query = f"wait_for_change=true&timeout_sec={self._hang_s}&last_etag={quote(etag, safe='')}"
        answer = await self._client.ask(
            "GET", f"{_INSTANCE_PATH}{key}?{query}", timeout_s=self._hang_s + _ANSWER_S, headers=_FLAVOR
        )
        if answer.headers.get("metadata-flavor") != "Google":
            raise SourceAway("something that is not Google's metadata server answered")
        if answer.status != HTTPStatus.OK:
            raise SourceAway(f"HTTP {answer.status}")
        return answer.text.strip(), answer.headers.get("etag") or _NO_ETAG

    def _preempted(self, value: str) -> PreemptionNotice | None:
        if value == "FALSE":
            return None
        if value != "TRUE":
            raise SourceAway("preempted is neither TRUE nor FALSE")
        return PreemptionNotice(
            source=NAME,
            event_id="preempted",
            kind=NoticeKind.interruption,
            action=MachineAction.stop,
            told_at_ms=_now_ms(),
            lead_ms=self._notice_ms or None,
            confidence=Confidence.proven if self._notice_ms else Confidence.unproven,
        )


if TYPE_CHECKING:
    from collections.abc import Callable

    _Reader = Callable[[str], PreemptionNotice | None]


def _maintenance(value: str) -> PreemptionNotice | None:
    """A value that is not known is no event: the server may get more of them."""
    if value not in _MAINTENANCE:
        return None
    return PreemptionNotice(
        source=f"{NAME} maintenance",
        event_id=value,
        kind=NoticeKind.maintenance,
        action=_MAINTENANCE[value],
        told_at_ms=_now_ms(),
        lead_ms=_MAINTENANCE_LEAD_MS,
    )


def _now_ms() -> int:
    return int(time.monotonic() * 1_000)


_MAINTENANCE = {
    "MIGRATE_ON_HOST_MAINTENANCE": MachineAction.freeze,
    "TERMINATE_ON_HOST_MAINTENANCE": MachineAction.terminate,
}
