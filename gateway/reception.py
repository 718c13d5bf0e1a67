"""From a client's first words to a running session, the same for every transport."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gateway.admission.carriers import agreed_token
from gateway.admission.places import NOBODY
from gateway.client_queue import ClientQueue
from gateway.errors import ClientFault, Reason, SessionRefused, Unavailable
from gateway.limits.settings import CreditSettings
from gateway.logs import tenant_hash
from gateway.metering.add_ons import add_ons_of
from gateway.session.identity import SessionIdentity
from gateway.session.machine import SessionMachine
from gateway.session.quota import SessionQuota
from gateway.session_runner import Observers, SessionRunner
from gateway.wire.handshake import read_start
from gateway.wire.messages import Start
from regions.whole_pool import WholePool

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

    from gateway.admission.addresses import Visit
    from gateway.admission.admit import Admission, Admitted
    from gateway.admission.edge_headers import HeaderLines
    from gateway.admission.places import Visitor
    from gateway.audio.decoders import AudioDecoders
    from gateway.audio.interface import AudioDecoder
    from gateway.metrics import GatewayMetrics
    from gateway.session.limits import SessionLimits
    from gateway.session_registry import SessionRegistry
    from gateway.session_runner import ClientPort
    from gateway.session_settings import SessionSettings
    from gateway.wire.handshake import SessionRequest
    from gateway.wire.messages import ClientMessage
    from policies.facts import AudioFormat
    from regions.links.interface import EnginePool

log = structlog.get_logger("gateway")


def monotonic_ms() -> int:
    """The clock of all sessions of this process."""
    return time.monotonic_ns() // 1_000_000


def monotonic_us() -> int:
    """The same clock, finer."""
    return time.monotonic_ns() // 1_000


@dataclass(frozen=True, slots=True)
class House:
    """The parts that a session is made of; one set a process."""

    region: str
    admission: Admission
    pool: EnginePool
    registry: SessionRegistry
    metrics: GatewayMetrics
    tracer: Tracer
    sessions: SessionSettings
    decoders: AudioDecoders
    token_leeway_s: int
    credit: CreditSettings
    now_ms: Callable[[], int] = monotonic_ms
    now_s: Callable[[], float] = time.time


class Reception:
    """Admits callers and begins their sessions."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._limits = house.sessions.session_limits()
        self._option_limits = house.sessions.option_limits()
        self._is_open = True

    @property
    def sessions(self) -> SessionSettings:
        return self._house.sessions

    def close(self) -> None:
        """New sessions are refused from here on, as retryable."""
        self._is_open = False

    def visitor(self, peer: str, lines: HeaderLines) -> Visitor:
        """Who is behind a connection: asked once, before it knocks. `lines`: what its headers say, by name."""
        return self._house.admission.visitor(peer, lines)

    def knock(self, address: str) -> Visit:
        """A connection came from this address, before anything of it is read; `with` it until its session begins.

        Raises:
            AddressRefused: it must go again.
        """
        return self._house.admission.knock(address)

    async def admit(self, token: str | None, visitor: Visitor = NOBODY) -> Admitted:
        """Raises SessionRefused. The tab of what is returned must be released by whoever holds it last."""
        if not self._is_open:
            raise Unavailable(Reason.draining)
        return await self._house.admission.admit(token, visitor)

    def read_start(self, message: ClientMessage) -> SessionRequest:
        """The first message. Raises ClientFault."""
        if not isinstance(message, Start):
            raise ClientFault(Reason.unexpected_message, "the first message must be `start`")
        return read_start(message, self._option_limits)

    async def admit_start(
        self,
        request: SessionRequest,
        token_of_request: str | None,
        early: Admitted | None,
        visitor: Visitor = NOBODY,
    ) -> Admitted:
        """The caller of a session whose `start` came: admitted before it, or by the token in it."""
        token = agreed_token(token_of_request, request.token)
        return early if early is not None else await self.admit(token, visitor)

    def begin(self, admitted: Admitted, request: SessionRequest, port: ClientPort, *, transport: str) -> SessionRunner:
        """Make the session and ask for its engine. Its tab is released when it closes.

        Raises:
            SessionRefused: the decoder cannot be had, or the token was revoked meanwhile; the tab is still the caller's
                then.
        """
        house, caller, session_id = self._house, admitted.caller, admitted.session_id
        house.admission.check_again(caller)
        now_ms = house.now_ms()
        expires_in_s = caller.expires_at_s + house.token_leeway_s - house.now_s()
        identity = SessionIdentity(
            session_id=session_id,
            tenant=caller.tenant,
            region=house.region,
            options=request.options,
            expires_at_ms=now_ms + int(expires_in_s * 1_000),
            jitter_permille=random.randrange(1_000),
        )
        session_log = log.bind(session=session_id, tenant=tenant_hash(caller.tenant), region=house.region)
        span = house.tracer.start_span(
            "session",
            attributes={
                "patchbay.session": session_id,
                "patchbay.tenant_hash": tenant_hash(caller.tenant),
                "patchbay.transport": transport,
                "patchbay.encoding": request.audio.encoding.value,
            },
        )
        runner = SessionRunner(
            SessionMachine(identity, self._limits_of(admitted), self._quota_of(admitted, now_ms), now_ms),
            WholePool(house.pool, house.region),
            ClientQueue(house.sessions.max_queued_messages),
            port,
            Observers(house.metrics, session_log, span, transport),
            now_ms=house.now_ms,
            on_closed=lambda closed: self._ended(closed, admitted),
        )
        runner.begin(
            request.audio, self._decoder_for(request.audio), max_waiting_bytes=house.sessions.max_waiting_bytes
        )
        house.registry.add(runner, caller)
        admitted.tab.attach(runner, add_ons=add_ons_of(request.options))
        house.metrics.sessions_opened.labels(transport).inc()
        session_log.info(
            "session.opened",
            transport=transport,
            encoding=request.audio.encoding.value,
            sample_rate_hz=request.audio.sample_rate_hz,
            model=request.options.model,
        )
        return runner

    def _limits_of(self, admitted: Admitted) -> SessionLimits:
        """The house's limits, or the plan's where they are narrower."""
        if admitted.plan.max_session_ms >= self._limits.session_ms:
            return self._limits
        return replace(self._limits, session_ms=admitted.plan.max_session_ms)

    def _quota_of(self, admitted: Admitted, now_ms: int) -> SessionQuota:
        rules = self._house.credit.quota_rules(admitted.plan.when_exhausted)
        return SessionQuota(rules, admitted.tab.opening, now_ms)

    def _decoder_for(self, audio_format: AudioFormat) -> Callable[[SessionRunner], AudioDecoder]:
        def make(runner: SessionRunner) -> AudioDecoder:
            return self._house.decoders.open(audio_format, on_pcm=runner.audio, on_error=runner.refuse)

        return make

    def _ended(self, runner: SessionRunner, admitted: Admitted) -> None:
        self._house.registry.remove(runner)
        admitted.tab.release()

    def note_refusal(self, refusal: SessionRefused, *, transport: str, visit: Visit | None = None) -> None:
        """A client was turned away before it had a session; `visit`: where it was let that far."""
        self._house.metrics.sessions_closed.labels(transport, refusal.reason.value).inc()
        if visit is None and refusal.reason is Reason.address_limited:
            return  # told once a second for all of them, or a flood would fill the log
        if visit is not None:
            visit.turned_away(refusal)
        log.info("session.refused", transport=transport, reason=refusal.reason.value, region=self._house.region)

    def count_audio(self, num_bytes: int) -> None:
        metrics = self._house.metrics
        metrics.audio_messages += 1
        metrics.audio_bytes += num_bytes
