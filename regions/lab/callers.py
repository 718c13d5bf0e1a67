"""A caller of the lab: speaks the native protocol at the pace of speech, and writes down what comes.

It is a client of its own, from docs/protocol.md and docs/webtransport.md alone. When its connection breaks it resumes,
as those pages say: it sends its audio again from the last `ack` on, at the gateways that `started` named.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from regions.lab.call_places import WEBTRANSPORT, CallPlace, CallPlaces
from regions.lab.call_record import Move, Stay, Told
from regions.lab.connection import Refused, SentOn, Unreachable, open_websocket
from regions.lab.speech import BYTES_PER_MS, PIECE_MS, SAMPLES_PER_MS
from regions.lab.transcripts import SpokenWord
from regions.lab.webtransport_connection import USUAL_PATIENCE_S, open_webtransport

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from regions.lab.call_record import CallRecord
    from regions.lab.connection import Connection

_SILENT_S = 6.0
"""A gateway that says nothing for so long while audio flows is taken for lost."""
_GIVE_UP_S, _GIVE_UP_OVER_WEBTRANSPORT_S = 30.0, 60.0
"""Where nobody answers UDP, each try takes `udp_patience_s`, and those who come back are found later."""
_FIRST_DELAY_S, _LAST_DELAY_S = 0.1, 1.0
_END_S = 30.0
_REPLAY_PIECE_MS = 1_000
_RESUMED_ELSEWHERE = "resumed_elsewhere"
_QUOTA = "quota_exhausted"
"""It comes back more slowly than a caller waits."""
_DECODE = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class CallPlan:
    """One session to be held. `gateways`: where to call, in this order. `speed` 0: as fast as it is taken.
    `webtransports`: of a caller that speaks it, by the gateways' addresses; `hashes`: of the certificates there.
    """

    gateways: Sequence[str]
    token: str
    pcm16: bytes
    speed: float
    piece_ms: int = PIECE_MS
    webtransports: Mapping[str, str] = field(default_factory=dict)
    hashes: Collection[str] = ()
    has_datagrams: bool = False
    udp_patience_s: float = USUAL_PATIENCE_S


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
        self._places = CallPlaces(plan.gateways, plan.webtransports)
        self._place = CallPlace("", "")
        self._acked_sample = 0
        self._acked_ms = 0
        self._region = ""
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
        give_up_s = _GIVE_UP_OVER_WEBTRANSPORT_S if self._plan.webtransports else _GIVE_UP_S
        while True:
            self._is_opened_here = False
            self._place = self._places.next(tries)
            try:
                await self._converse()
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
                if is_lost or not broken.may_come_back or now_s - last_good_s > give_up_s:
                    self._record.failure = str(broken)
                    break
                await asyncio.sleep(max(broken.retry_after_s, delay_s * self._dice.uniform(0.5, 1.0)))
                delay_s = min(2 * delay_s, _LAST_DELAY_S)
        self._record.ended_at_s = time.monotonic()

    async def _converse(self) -> None:
        """One connection. Returns after `finished`. Raises _Broken."""
        try:
            connection = await self._connected()
        except Refused as refused:
            raise self._refused(refused) from None
        except SentOn as sent_on:
            self._places.sent_to = [sent_on.url]
            raise _Broken(str(sent_on)) from None
        except Unreachable as unreachable:
            if self._place.protocol == WEBTRANSPORT and not self._is_opened:
                self._places.has_fallen_back = True  # it may be all UDP; who waits to begin does not try it again
            raise _Broken(str(unreachable)) from None
        try:
            await self._session(connection)
        finally:
            await connection.close()

    async def _connected(self) -> Connection:
        """Raises Refused, SentOn and Unreachable."""
        url, plan = self._place.url, self._plan
        if self._place.protocol == WEBTRANSPORT:
            return await open_webtransport(
                url,
                plan.token,
                hashes=plan.hashes,
                has_datagrams=plan.has_datagrams,
                patience_s=plan.udp_patience_s,
            )
        return await open_websocket(self._http, url, plan.token)

    async def _session(self, connection: Connection) -> None:
        start: dict[str, Any] = {"type": "start"}
        from_ms = 0
        if self._resume_token:
            start["resume"] = {"token": self._resume_token, "from_sample": self._acked_sample}
            from_ms = self._acked_sample // SAMPLES_PER_MS
            self._record.drop_words_from(self._acked_ms)
        if not self._is_opened:
            self._began_at_s = time.monotonic()
            self._record.sent.clear()
        speaking = asyncio.ensure_future(self._speak(connection, start, from_ms))
        listening = asyncio.ensure_future(self._listen(connection))
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

    async def _speak(self, connection: Connection, start: dict[str, Any], from_ms: int) -> None:
        """All audio from `from_ms` on: what was said before at once, the rest at its pace."""
        await connection.say(msgspec.json.encode(start).decode())
        pcm16, speed = self._plan.pcm16, self._plan.speed
        at_ms, total_ms = from_ms, len(pcm16) // BYTES_PER_MS
        if self._resume_token:  # the exact sample
            first = self._acked_sample * 2
            at_ms = -(-self._acked_sample // SAMPLES_PER_MS)
            if head := pcm16[first : at_ms * BYTES_PER_MS]:
                await connection.send_audio(head)
        while at_ms < total_ms:
            due_ms = int(1_000 * (time.monotonic() - self._began_at_s) * speed) if speed else total_ms
            is_late = at_ms + 2 * self._plan.piece_ms <= due_ms
            piece_ms = min(due_ms - at_ms, _REPLAY_PIECE_MS) if is_late else self._plan.piece_ms
            through_ms = min(total_ms, at_ms + piece_ms)
            spoken_at_s = self._began_at_s + through_ms / 1_000 / speed if speed else time.monotonic()
            if spoken_at_s > time.monotonic():
                await asyncio.sleep(spoken_at_s - time.monotonic())
            await connection.send_audio(pcm16[at_ms * BYTES_PER_MS : through_ms * BYTES_PER_MS])
            at_ms = through_ms
            if not self._record.sent or at_ms > self._record.sent[-1][0]:
                self._record.sent.append((at_ms, spoken_at_s))
        await connection.say('{"type":"finish"}')

    async def _listen(self, connection: Connection) -> bool:
        """Until the session is over: whether it is finished. Raises _Broken."""
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    message = await connection.hear()
            except TimeoutError:
                raise _Broken("the gateway is silent") from None
            if message is None:
                return False
            if self._hear(_DECODE.decode(message)):
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
                self._sent_on(said.get("gateways") or ())
                is_spent = said["reason"] == _QUOTA
                is_own_doing = said["reason"] == _RESUMED_ELSEWHERE and self._given_up > 0
                raise _Broken(
                    said["reason"],
                    retry_after_s=(said.get("retry_after_ms") or 0) / 1_000,
                    may_come_back=not is_spent
                    and (bool(said["retryable"]) or is_own_doing or not self._is_opened_here),
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
        if self._place.protocol != WEBTRANSPORT:
            self._places.has_fallen_back = True
        self._record.protocols.append(self._place.protocol)
        self._is_opened = self._is_opened_here = True
        self._gateway_region = gateway_region
        self._record.sessions.append(said["session_id"])
        self._record.stays.append(Stay(gateway_region, now_s))
        self._be_at(region)
        self._resume_token = said.get("resume_token") or self._resume_token
        self._places.named = said.get("resume_at") or self._places.named

    def _sent_on(self, gateways: Sequence[str]) -> None:
        """A gateway that may not serve it, or empties its region, says where to go."""
        if gateways:
            self._places.sent_to = gateways
            self._places.named = gateways if self._is_opened else ()

    def _moved(self, said: dict[str, Any], now_s: float) -> None:
        region = said.get("engine_region") or self._gateway_region
        self._record.moves.append(Move(now_s, said["reason"], self._region, region, said["pause_elapsed_ms"]))
        self._be_at(region)

    def _be_at(self, region: str) -> None:
        self._region = region
        self._record.regions.append(region)

    def _refused(self, refused: Refused) -> _Broken:
        may_come_back = refused.status in (429, 503)
        self._record.told.append(Told(refused.reason, may_come_back, refused.retry_after_ms))
        return _Broken(str(refused), retry_after_s=(refused.retry_after_ms or 0) / 1_000, may_come_back=may_come_back)
