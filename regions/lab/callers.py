"""A caller of the lab: speaks the native protocol over WebSocket, at the pace of speech, and writes down what comes.

It is a client of its own, from docs/protocol.md alone. When its connection breaks it resumes, as that page says: it
sends its audio again from the last `ack` on, at the gateways that `started` named.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from regions.lab.call_record import Move, Stay, Told
from regions.lab.speech import BYTES_PER_MS, PIECE_MS, SAMPLES_PER_MS
from regions.lab.transcripts import SpokenWord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regions.lab.call_record import CallRecord

_SILENT_S = 6.0
"""A gateway that says nothing for so long while audio flows is taken for lost."""
_CONNECT_S = 2.0
_GIVE_UP_S = 30.0
_FIRST_DELAY_S, _LAST_DELAY_S = 0.1, 1.0
_END_S = 30.0
_REPLAY_PIECE_MS = 1_000
_RESUMED_ELSEWHERE = "resumed_elsewhere"
_DECODE = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class CallPlan:
    """One session to be held. `gateways`: where to call, in this order. `speed` 0: as fast as it is taken."""

    gateways: Sequence[str]
    token: str
    pcm16: bytes
    speed: float
    piece_ms: int = PIECE_MS


class _Broken(Exception):
    """The connection is gone, or the session was refused for now."""

    def __init__(self, why: str, *, retry_after_s: float = 0.0, may_come_back: bool = True) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s
        self.may_come_back = may_come_back


class Call:
    """One session from its start to its end, over as many connections as it takes."""

    def __init__(self, http: aiohttp.ClientSession, plan: CallPlan, record: CallRecord, dice: random.Random) -> None:
        self._http = http
        self._plan = plan
        self._record = record
        self._dice = dice
        self._resume_token = ""
        self._resume_at: list[str] = []
        self._acked_sample = 0
        self._acked_ms = 0
        self._region = ""
        self._sent_to = ""
        """By a gateway that may not serve it: one that may."""
        self._broke_at_s = 0.0
        self._began_at_s = 0.0
        self._is_opened = False
        self._given_up = 0
        """Attempts that it left before they were answered: a gateway may take one up late, and end the session that
        goes on elsewhere by then.
        """

    async def run(self) -> None:
        """Speak everything. How it went is in the record."""
        self._began_at_s = time.monotonic()
        delay_s, tries = _FIRST_DELAY_S, 0
        last_good_s = time.monotonic()
        while True:
            gateways = self._resume_at if self._is_opened and self._resume_at else list(self._plan.gateways)
            self._is_opened_here = False
            try:
                named, self._sent_to = self._sent_to, ""
                await self._converse(named or gateways[tries % len(gateways)])
                self._record.is_finished = True
                break
            except _Broken as broken:
                now_s = time.monotonic()
                if self._is_opened_here:
                    self._record.stays[-1].until_s = now_s
                    last_good_s, delay_s, tries = now_s, _FIRST_DELAY_S, 0
                    self._broke_at_s = now_s
                else:
                    tries += 1
                    self._given_up += 1
                    self._record.refusals.append(str(broken))
                is_lost = self._is_opened and not self._resume_token
                if is_lost or not broken.may_come_back or now_s - last_good_s > _GIVE_UP_S:
                    self._record.failure = str(broken)
                    break
                await asyncio.sleep(max(broken.retry_after_s, delay_s * self._dice.uniform(0.5, 1.0)))
                delay_s = min(2 * delay_s, _LAST_DELAY_S)
        self._record.ended_at_s = time.monotonic()

    async def _converse(self, url: str) -> None:
        """One connection. Returns after `finished`. Raises _Broken."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                socket = await self._http.ws_connect(
                    url, headers={"Authorization": f"Bearer {self._plan.token}"}, compress=0, max_msg_size=0
                )
        except aiohttp.WSServerHandshakeError as error:
            raise self._refused(error) from None
        except aiohttp.NonHttpUrlRedirectClientError as redirect:
            self._sent_to = str(redirect.args[0])
            raise _Broken("sent to another gateway") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Broken(f"unreachable: {type(error).__name__}") from None
        try:
            await self._session(socket)
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(0.2):
                    await socket.close()

    async def _session(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        start: dict[str, Any] = {"type": "start"}
        from_ms = 0
        if self._resume_token:
            start["resume"] = {"token": self._resume_token, "from_sample": self._acked_sample}
            from_ms = self._acked_sample // SAMPLES_PER_MS
            self._record.drop_words_from(self._acked_ms)
        if not self._is_opened:
            self._began_at_s = time.monotonic()
            self._record.sent.clear()
        speaking = asyncio.ensure_future(self._speak(socket, start, from_ms))
        listening = asyncio.ensure_future(self._listen(socket))
        try:
            await asyncio.wait({speaking, listening}, return_when=asyncio.FIRST_EXCEPTION)
            if speaking.done() and (error := speaking.exception()) is not None and not listening.done():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await listening  # it may know why
                raise _Broken(f"the connection broke: {type(error).__name__}")
            if not await listening:
                raise _Broken("the connection broke")
        finally:
            for task in (speaking, listening):
                task.cancel()
            await asyncio.gather(speaking, listening, return_exceptions=True)

    async def _speak(self, socket: aiohttp.ClientWebSocketResponse, start: dict[str, Any], from_ms: int) -> None:
        """All audio from `from_ms` on: what was said before at once, the rest at its pace."""
        await socket.send_str(msgspec.json.encode(start).decode())
        pcm16, speed = self._plan.pcm16, self._plan.speed
        at_ms, total_ms = from_ms, len(pcm16) // BYTES_PER_MS
        if self._resume_token:  # the exact sample
            first = self._acked_sample * 2
            at_ms = -(-self._acked_sample // SAMPLES_PER_MS)
            if head := pcm16[first : at_ms * BYTES_PER_MS]:
                await socket.send_bytes(head)
        while at_ms < total_ms:
            due_ms = int(1_000 * (time.monotonic() - self._began_at_s) * speed) if speed else total_ms
            is_late = at_ms + 2 * self._plan.piece_ms <= due_ms
            piece_ms = min(due_ms - at_ms, _REPLAY_PIECE_MS) if is_late else self._plan.piece_ms
            through_ms = min(total_ms, at_ms + piece_ms)
            spoken_at_s = self._began_at_s + through_ms / 1_000 / speed if speed else time.monotonic()
            if spoken_at_s > time.monotonic():
                await asyncio.sleep(spoken_at_s - time.monotonic())
            await socket.send_bytes(pcm16[at_ms * BYTES_PER_MS : through_ms * BYTES_PER_MS])
            at_ms = through_ms
            if not self._record.sent or at_ms > self._record.sent[-1][0]:
                self._record.sent.append((at_ms, spoken_at_s))
        await socket.send_str('{"type":"finish"}')

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        """Until the session is over: whether it is finished. Raises _Broken."""
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    message = await socket.receive()
            except TimeoutError:
                raise _Broken("the gateway is silent") from None
            if message.type is not aiohttp.WSMsgType.TEXT:
                return False
            if self._hear(_DECODE.decode(message.data)):
                return True

    def _hear(self, said: dict[str, Any]) -> bool:
        """Write a message down: whether it was the last. Raises _Broken for an error."""
        now_s = time.monotonic()
        match said["type"]:
            case "started":
                self._started(said, now_s)
            case "partial":
                self._record.note_progress(now_s, said["end_ms"])
            case "final":
                self._record.words += [
                    SpokenWord(word["text"], word["start_ms"], word["end_ms"]) for word in said["words"]
                ]
                self._record.note_progress(now_s, said["end_ms"])
            case "ack":
                self._acked_ms = said["audio_ms"]
                self._acked_sample = said.get("sample", self._acked_sample)
            case "migrated":
                self._moved(said, now_s)
            case "error":
                self._record.told.append(Told(said["reason"], bool(said["retryable"]), said.get("retry_after_ms")))
                is_own_doing = said["reason"] == _RESUMED_ELSEWHERE and self._given_up > 0
                raise _Broken(
                    said["reason"],
                    retry_after_s=(said.get("retry_after_ms") or 0) / 1_000,
                    may_come_back=bool(said["retryable"]) or is_own_doing or not self._is_opened_here,
                )
            case "finished":
                return True
            case _:
                pass
        return False

    def _started(self, said: dict[str, Any], now_s: float) -> None:
        gateway_region = said["region"]
        region = said.get("engine_region") or gateway_region
        self._record.began_at_s = self._record.began_at_s or now_s
        if self._is_opened:
            pause_ms = 1_000 * (now_s - self._broke_at_s)
            self._record.moves.append(
                Move(self._broke_at_s, "gateway_lost", self._region, region, pause_ms, is_resume=True)
            )
        self._is_opened = self._is_opened_here = True
        self._gateway_region = gateway_region
        self._record.sessions.append(said["session_id"])
        self._record.stays.append(Stay(gateway_region, now_s))
        self._be_at(region)
        self._resume_token = said.get("resume_token") or self._resume_token
        self._resume_at = [url for url in said.get("resume_at", ()) if url.startswith(("ws://", "wss://"))] or (
            self._resume_at or list(self._plan.gateways)
        )

    def _moved(self, said: dict[str, Any], now_s: float) -> None:
        region = said.get("engine_region") or self._gateway_region
        self._record.moves.append(Move(now_s, said["reason"], self._region, region, said["pause_elapsed_ms"]))
        self._be_at(region)

    def _be_at(self, region: str) -> None:
        self._region = region
        self._record.regions.append(region)

    def _refused(self, error: aiohttp.WSServerHandshakeError) -> _Broken:
        headers: Mapping[str, str] = error.headers or {}
        reason = headers.get("Patchbay-Reason", "")
        retry_after = headers.get("Retry-After", "")
        may_come_back = error.status in (429, 503)
        retry_after_ms = round(1_000 * float(retry_after)) if retry_after else None
        self._record.told.append(Told(reason, may_come_back, retry_after_ms))
        return _Broken(
            reason or f"http_{error.status}",
            retry_after_s=(retry_after_ms or 0) / 1_000,
            may_come_back=may_come_back,
        )
