"""A client's session that outlives its connections: what is not final is sent again, at another gateway if need be.

These must stay true:
  - Every message is shown once; what was heard before the loss is not repeated.
  - Only what the last `ack` covers is let go of; all audio from there on can be sent again.
  - Attempts are spread: the pauses grow, and each client draws its own.
  - Where WebTransport does not come through, the session gets WebSocket, once, and stays with it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.cli.connection import CONNECT_TIMEOUT_S, ConnectionFailed, TransportChoice, UnreachableSo, connect
from gateway.cli.exit_codes import ExitCode
from gateway.cli.gateway_places import Place, Places
from gateway.errors import TABLE, Fault, Reason
from gateway.wire.heard_once import HeardOnce
from gateway.wire.messages import (
    Ack,
    Audio,
    ErrorMessage,
    Finish,
    Finished,
    Resume,
    ServerMessage,
    Start,
    Started,
    Usage,
)
from gateway.wire.resume_cut import AudioCut, cut_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.cli.audio_source import AudioSource
    from gateway.cli.connection import Connection
    from gateway.cli.webtransport_connection import WebTransportChoices

_WEBTRANSPORT_ROUNDS = 2
"""After a loss: so often is WebTransport tried first, where another protocol may do."""
_MOST_ENDS_IN_VAIN = 3
"""So often may a session that was taken up lose its engines for good without one more `ack`: the audio itself may be
what they die of.
"""
_LONGEST_UTTERANCE_MS = 30_000
"""Where the client leaves it to the gateway."""
_TO_ANSWER_MS = 15_000
"""For the end of what was long: an engine may be lost and replaced just then."""
_NOT_OURS_TO_REPEAT = (ExitCode.usage, ExitCode.not_permitted, ExitCode.data_rejected, ExitCode.internal)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a session is opened, and by whom."""

    url: str
    token: str
    protocol: TransportChoice = TransportChoice.ws
    webtransport: WebTransportChoices | None = None
    fallback_url: str | None = None
    """WebSocket's, where WebTransport does not come through; empty: only where `started` names one. None: nowhere."""

    def __repr__(self) -> str:
        return f"Endpoint({self.url})"  # never the token


@dataclass(frozen=True, slots=True)
class ResumeRules:
    """Elapsed milliseconds. `silent_ms`: a gateway that says nothing for so long is taken for lost (`owed_within_ms`);
    `open_ms`: how long one may take from the first byte to `started`; `webtransport_ms`: to answer a request for a
    session of WebTransport, where another protocol may do: a network that lets no UDP through says nothing.
    """

    is_on: bool = True
    first_delay_ms: int = 250
    max_delay_ms: int = 5_000
    give_up_ms: int = 60_000
    silent_ms: int = 30_000
    open_ms: int = 5_000
    webtransport_ms: int = 3_000


class Resumed(msgspec.Struct, frozen=True, tag="resumed", kw_only=True):
    """A line of the client's own: the connection was lost and the session goes on. `at`: the gateway's address."""

    at: str
    region: str
    from_sample: int
    pause_elapsed_ms: int
    attempts: int


class FellBack(msgspec.Struct, frozen=True, tag="fell_back", kw_only=True):
    """A line of the client's own: WebTransport does not come through, and WebSocket is used from here on."""

    at: str
    why: str


Shown = ServerMessage | Resumed | FellBack


class ResumingSession:
    """One session. `show` gets every message once, `Resumed` after each loss, and `FellBack` where that happened."""

    def __init__(
        self,
        endpoint: Endpoint,
        start: Start,
        source: AudioSource,
        show: Callable[[Shown], None],
        *,
        rules: ResumeRules | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._start = start
        self._source = source
        self._show = show
        self._rules = rules or ResumeRules()
        self._heard = HeardOnce()
        self._token = ""
        self._acked_sample = 0
        self._sent_at_s = 0.0
        self._has_sent_all = False
        self._is_throttled = False
        self._lost: _Loss | None = None
        self._ends_in_vain = 0
        self._left_unanswered = 0
        """Attempts that were given up before an answer: a slow gateway may take the session up for one of them."""
        self._places = Places(endpoint)
        self._place = self._places.home

    async def run(self) -> Finished | ErrorMessage:
        """To the end of the session.

        Raises:
            ConnectionFailed: it could not begin, or broke and could not be gone on with.
            InputLost: the audio cannot be read.
        """
        filling = asyncio.create_task(self._source.fill())
        try:
            return await self._run()
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)

    async def _run(self) -> Finished | ErrorMessage:
        while True:
            outcome = await self._attempt()
            if isinstance(outcome, Finished | ErrorMessage) and not self._may_go_on_after(outcome):
                return outcome
            if self._begins_elsewhere(outcome):
                continue
            if isinstance(outcome, ErrorMessage) and outcome.reason == Reason.resumed_elsewhere:
                self._left_unanswered -= 1
            if isinstance(outcome, ConnectionFailed) and outcome.exit_code in _NOT_OURS_TO_REPEAT:
                raise outcome
            if self._lost is None:
                self._lost = _Loss(asyncio.get_running_loop().time())
            delay_ms = self._next_delay_ms(self._lost, outcome)
            if delay_ms is None:
                if isinstance(outcome, ErrorMessage):
                    if outcome.reason != Reason.capacity_shed:
                        self._show(outcome)
                    return outcome
                raise _failure(outcome)
            await asyncio.sleep(delay_ms / 1_000)

    def _may_go_on_after(self, outcome: Finished | ErrorMessage) -> bool:
        """A gateway that cannot serve the session any more, while another one may."""
        if not isinstance(outcome, ErrorMessage) or not self._can_resume():
            return False
        if outcome.reason == Reason.resumed_elsewhere and self._left_unanswered:
            return True  # by nobody else than this client
        if outcome.reason == Reason.wrong_region:
            return bool(outcome.gateways)  # policy changed under the session, and permits it there
        return (
            outcome.retryable
            and self._ends_in_vain < _MOST_ENDS_IN_VAIN
            and (outcome.reason not in Reason.__members__ or TABLE[Reason(outcome.reason)].fault is not Fault.nobody)
        )

    def _can_resume(self) -> bool:
        return self._rules.is_on and bool(self._token) and self._source.has(self._cut())

    def _cut(self) -> AudioCut:
        return cut_for(self._source.audio, self._acked_sample)

    def _next_delay_ms(self, lost: _Loss, outcome: ServerMessage | ConnectionFailed | None) -> float | None:
        """Also chooses the next gateway. None: it is given up."""
        rules = self._rules
        waited_ms = (asyncio.get_running_loop().time() - lost.at_s) * 1_000
        if not self._can_resume() or waited_ms >= rules.give_up_ms:
            return None
        turn, place = self._choose_place(lost.attempts)
        lost.attempts += 1
        advised_ms = getattr(outcome, "retry_after_ms", None) or 0
        if turn == 0 and place == 0 and getattr(outcome, "reason", None) == Reason.capacity_shed:
            return float(advised_ms)  # the slot is another's: there is nothing to be had before
        if turn == 0:
            return random.uniform(0, rules.first_delay_ms) if place == 0 else 0.0
        if place:
            return 0.0
        whole_ms = min(rules.max_delay_ms, max(advised_ms, rules.first_delay_ms << min(turn, 10)))
        return random.uniform(whole_ms / 2, whole_ms)

    def _choose_place(self, attempts: int) -> tuple[int, int]:
        """The next gateway; gives its round, and its place in that."""
        places = self._places.all()
        early = _WEBTRANSPORT_ROUNDS * len(places)
        if attempts >= early:  # its gateway may only be on its way back: it is still tried, behind the others
            places.sort(key=lambda place: place.protocol is TransportChoice.webtransport)
        turn, number = divmod(attempts, len(places))
        self._place = places[number]
        return turn, number

    def _begins_elsewhere(self, outcome: ServerMessage | ConnectionFailed | None) -> bool:
        """Whether a session that never began over WebTransport is begun over WebSocket."""
        fallback_url = self._endpoint.fallback_url
        if self._token or self._lost is not None or not fallback_url:
            return False
        if self._place.protocol is not TransportChoice.webtransport or not isinstance(outcome, UnreachableSo | None):
            return False
        if not self._source.has(self._cut()):
            return False
        self._place = Place(fallback_url, TransportChoice.ws)
        self._fall_back("no answer to `start`" if outcome is None else str(outcome))
        return True

    def _fall_back(self, why: str) -> None:
        self._places.has_fallen_back = True
        self._show(FellBack(at=self._place.url, why=why))

    async def _attempt(self) -> Finished | ErrorMessage | ConnectionFailed | None:
        """One connection, to its end. None: it broke off."""
        is_again = self._lost is not None
        resume: Resume | None = None
        cut = AudioCut(0, None)
        if is_again:
            cut = self._cut()
            resume = Resume(token=self._token, from_sample=self._acked_sample, audio_from_ms=cut.audio_from_ms)
        start = msgspec.structs.replace(self._start, resume=resume)
        endpoint = self._endpoint
        timeout_s = self._rules.open_ms / 1_000 if is_again else CONNECT_TIMEOUT_S
        place = self._place
        if place.protocol is TransportChoice.webtransport and endpoint.fallback_url is not None:
            timeout_s = min(timeout_s, self._rules.webtransport_ms / 1_000)
        resume_token = self._token if is_again else ""
        try:
            async with connect(
                place.url,
                endpoint.token,
                protocol=place.protocol,
                resume_token=resume_token,
                timeout_s=timeout_s,
                webtransport=endpoint.webtransport,
            ) as connection:
                return await self._converse(connection, start, cut, is_again=is_again)
        except ConnectionFailed as failed:
            # The request carried the token: a gateway that reads it later takes the session up for nobody.
            self._left_unanswered += is_again and failed.is_unanswered
            return failed

    async def _converse(
        self, connection: Connection, start: Start, cut: AudioCut, *, is_again: bool
    ) -> Finished | ErrorMessage | None:
        sending = asyncio.create_task(self._send(connection, start, self._source.pieces(cut)))
        receiving = asyncio.create_task(self._receive(connection, is_again=is_again))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            return await receiving
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _send(self, connection: Connection, start: Start, pieces: AsyncIterator[bytes]) -> None:
        """Raises InputLost. What is wrong with the connection is not ours to tell: whoever reads hears why it ended."""
        self._has_sent_all = False
        await connection.send(start)
        async for piece in pieces:
            await connection.send(Audio(piece))
            self._sent_at_s = asyncio.get_running_loop().time()
        await connection.send(Finish())
        self._has_sent_all = True

    async def _receive(self, connection: Connection, *, is_again: bool) -> Finished | ErrorMessage | None:
        """Show what comes, to the end of the session. None: the connection broke, or the gateway fell silent."""
        messages = connection.messages()
        has_heard = not is_again
        coming: asyncio.Future[ServerMessage] | None = None
        try:
            while True:
                began_s = asyncio.get_running_loop().time()
                coming = asyncio.ensure_future(anext(messages))
                while not (await asyncio.wait({coming}, timeout=self._patience_s(has_heard=has_heard)))[0]:
                    if not has_heard or self._is_owed_an_answer(began_s):
                        self._left_unanswered += not has_heard
                        return None
                try:
                    message = coming.result()
                except StopAsyncIteration:
                    self._left_unanswered += not has_heard
                    return None
                has_heard = True
                if isinstance(message, ErrorMessage):
                    self._places.sent_on(message.gateways)
                    if self._lost is None and message.reason == Reason.engine_unavailable:
                        self._ends_in_vain += 1
                    # Whoever was shed hears why and for how long, also when the session goes on by itself.
                    if message.reason == Reason.capacity_shed or not self._may_go_on_after(message):
                        self._show(message)
                    return message
                self._note(message)
                if isinstance(message, Finished):
                    return message
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    def _patience_s(self, *, has_heard: bool) -> float | None:
        if not self._can_resume():
            return None
        return (owed_within_ms(self._start, self._rules) if has_heard else self._rules.open_ms) / 1_000

    def _is_owed_an_answer(self, since_s: float) -> bool:
        """Whether audio was taken since then, or all of it, by a gateway that had no reason to let it wait."""
        return (self._sent_at_s > since_s or self._has_sent_all) and not self._is_throttled

    def _note(self, message: ServerMessage) -> None:
        if isinstance(message, Usage):
            self._is_throttled = message.is_throttled
        if isinstance(message, Ack):
            if message.sample > self._acked_sample:
                self._ends_in_vain = 0
            self._acked_sample = max(self._acked_sample, message.sample)
            self._source.release(self._acked_sample)
        shown = self._heard.take(message)
        if shown is not None:
            self._show(shown)
        if isinstance(message, Started):
            self._is_throttled = False  # a gateway that lets audio wait says so itself
            self._token = message.resume_token or self._token
            self._places.started(self._place, message.resume_at)
            if self._lost is not None:
                if self._place.protocol is not self._endpoint.protocol and not self._places.has_fallen_back:
                    self._fall_back("the connection was lost")
                self._show(self._lost.ended(self._place.url, message, self._acked_sample))
                self._lost = None


def owed_within_ms(start: Start, rules: ResumeRules) -> int:
    """How long a gateway that takes audio may say nothing. One that was asked to let silence pass for long, or to be
    silent until an utterance is over, has nothing to say before.
    """
    silence_ms = start.endpointing.no_speech_ms or 0
    utterance_ms = 0 if start.partials else start.max_utterance_ms or _LONGEST_UTTERANCE_MS
    longest_ms = max(silence_ms, utterance_ms)
    return max(rules.silent_ms, longest_ms + _TO_ANSWER_MS) if longest_ms else rules.silent_ms


@dataclass(slots=True)
class _Loss:
    """A connection that was lost, until the session goes on. `at_s`: on the loop's clock."""

    at_s: float
    attempts: int = 0

    def ended(self, url: str, started: Started, from_sample: int) -> Resumed:
        pause_ms = int((asyncio.get_running_loop().time() - self.at_s) * 1_000)
        return Resumed(
            at=url,
            region=started.region,
            from_sample=from_sample,
            pause_elapsed_ms=pause_ms,
            attempts=self.attempts,
        )


def _failure(outcome: object) -> ConnectionFailed:
    if isinstance(outcome, ConnectionFailed):
        return outcome
    return ConnectionFailed("the connection broke before the session was finished", ExitCode.protocol_broken)
