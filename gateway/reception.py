"""From a client's first words to a running session, the same for every transport."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from engines.interface import SAMPLES_PER_MS
from gateway.admission.carriers import agreed_token
from gateway.admission.places import NOBODY
from gateway.client_queue import ClientQueue, OverheardQueue
from gateway.errors import ClientFault, Reason, SessionRefused, Unavailable
from gateway.limits.settings import CreditSettings
from gateway.logs import tenant_hash
from gateway.metering.add_ons import add_ons_of
from gateway.resumption.resumption import SessionNote
from gateway.resumption.skipping import SkippedHead
from gateway.session.identity import SessionIdentity
from gateway.session.machine import SessionMachine
from gateway.session.origin import SessionOrigin
from gateway.session.quota import SessionQuota
from gateway.session_registry import Terms
from gateway.session_runner import Observers, SessionRunner
from gateway.transcripts.interface import Spoken
from gateway.wire.handshake import read_start
from gateway.wire.messages import Start
from regions.placing import SessionPlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

    from gateway.admission.addresses import Visit
    from gateway.admission.admit import Admission, Admitted
    from gateway.admission.edge_headers import HeaderLines
    from gateway.admission.places import Visitor
    from gateway.admission.policy_sets import PolicySet
    from gateway.audio.decoders import AudioDecoders
    from gateway.audio.interface import AudioDecoder
    from gateway.limits.interface import SessionTab
    from gateway.metrics import GatewayMetrics
    from gateway.residency.grants import GrantIssuer, SessionGrant
    from gateway.resumption.resumption import Continued, Resumption, SessionPoints
    from gateway.session.limits import SessionLimits
    from gateway.session_decisions import SessionDecisions, SessionOnRecord
    from gateway.session_registry import SessionRegistry
    from gateway.session_runner import ClientPort
    from gateway.session_settings import SessionSettings
    from gateway.transcripts.keeping import SessionKeeper, TranscriptKeeper
    from gateway.wire.handshake import SessionRequest
    from gateway.wire.messages import ClientMessage
    from policies.facts import Caller
    from policies.residency.situation import Stated
    from regions.catalog import RegionSpec
    from regions.placing import Placement

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
    placement: Placement
    registry: SessionRegistry
    metrics: GatewayMetrics
    tracer: Tracer
    sessions: SessionSettings
    decoders: AudioDecoders
    token_leeway_s: int
    credit: CreditSettings
    resumption: Resumption | None = None
    """None: no session can be gone on with."""
    grants: GrantIssuer | None = None
    """Signs what policy permits a session, for the engines that it asks; None: nobody checks that."""
    decisions: SessionDecisions | None = None
    """Writes down what policy decides of sessions; None: nobody does."""
    transcripts: TranscriptKeeper | None = None
    """None: no word is kept of anybody."""
    now_ms: Callable[[], int] = monotonic_ms
    now_s: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is let in, and the session that goes on, if one does; release its tab when the session ends."""

    admitted: Admitted
    continued: Continued | None = None

    @property
    def tab(self) -> SessionTab:
        return self.admitted.tab


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

    @property
    def region(self) -> str:
        return self._house.region

    async def nearest_regions(self, token: str | None, visitor: Visitor) -> tuple[RegionSpec, ...]:
        """Where whoever asks may connect, nearest first; without a token, where anybody might.

        Raises:
            SessionRefused: the token proves nothing, or its residency profile is not known.
        """
        admission = self._house.admission
        policies = None if token is None else (await admission.identify(token, visitor.place))[1]
        return admission.policies.regions_for(policies, visitor.place)

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

    async def admit(
        self,
        token: str | None,
        visitor: Visitor = NOBODY,
        resume_token: str = "",
        stated: Stated | None = None,
    ) -> Guest:
        """Raises SessionRefused. The tab of what is returned must be released by whoever holds it last.

        `resume_token`: of the session that goes on, where it is known by now: the place that it still has elsewhere is
        given back before another is taken. `stated`: by its `start`; None: that is to come.
        """
        if not self._is_open:
            raise Unavailable(Reason.draining)
        admission = self._house.admission
        if not resume_token:
            return Guest(await admission.admit(token, visitor, stated))
        proven = await admission.prove(token, visitor, stated)
        continued = await self._take_up(resume_token, proven.caller)
        session_id = continued.claims.session_id
        return Guest(await admission.place(proven, session_id=session_id, tab_id=continued.tab_id), continued)

    async def _take_up(self, resume_token: str, caller: Caller) -> Continued:
        resumption = self._house.resumption
        if resumption is None:
            raise ClientFault(Reason.resume_not_possible)
        continued = await resumption.take_up(resume_token, caller)
        if continued.point is not None:
            await self._house.admission.close_left(continued.point.org, continued.point.tab_id)
        return continued

    def read_start(self, message: ClientMessage) -> SessionRequest:
        """The first message. Raises ClientFault."""
        if not isinstance(message, Start):
            raise ClientFault(Reason.unexpected_message, "the first message must be `start`")
        return read_start(message, self._option_limits)

    async def admit_start(
        self,
        request: SessionRequest,
        token_of_request: str | None,
        early: Guest | None,
        visitor: Visitor = NOBODY,
    ) -> Guest:
        """The caller of a session whose `start` came: admitted before it, or by the token in it."""
        token = agreed_token(token_of_request, request.token)
        if early is None:
            resume_token = "" if request.resume is None else request.resume.token
            return await self.admit(token, visitor, resume_token, request.stated)
        early = replace(early, admitted=await self._house.admission.decide_again(early.admitted, request.stated))
        if request.resume is None or early.continued is not None:
            return early
        return Guest(early.admitted, await self._take_up(request.resume.token, early.admitted.caller))

    def begin(self, guest: Guest, request: SessionRequest, port: ClientPort, *, transport: str) -> SessionRunner:
        """Make the session and ask for its engine. Its tab is released when it closes.

        Raises:
            SessionRefused: the decoder cannot be had, the token was revoked meanwhile, or what goes on cannot go on so;
                the tab is still the caller's then.
        """
        house = self._house
        guest = replace(guest, admitted=house.admission.decide_at_last(guest.admitted))
        admitted = guest.admitted
        caller = admitted.caller
        house.admission.check_again(caller)
        now_ms = house.now_ms()
        expires_in_s = caller.expires_at_s + house.token_leeway_s - house.now_s()
        beginning = self._beginning_of(guest, request)
        session_id = beginning.session_id
        identity = SessionIdentity(
            session_id=session_id,
            tenant=caller.tenant,
            region=house.region,
            options=request.options,
            expires_at_ms=now_ms + int(expires_in_s * 1_000),
            jitter_permille=random.randrange(1_000),
            resume_token=beginning.resume_token,
            resume_at=beginning.resume_at,
            origin=beginning.origin,
            tier=admitted.plan.tier.value,
        )
        grant = None if house.grants is None else house.grants.of_session(session_id, caller.tenant, admitted.policies)
        on_record = self._on_record(session_id, guest)
        place = SessionPlace(
            session_id,
            admitted.policies.permitted,
            admitted.plan.tier,
            random.randrange(1_000),
            end=lambda shed: runner.shed(shed),
            on_placed=None if on_record is None else on_record.placed,
            grant=grant,
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
        keeper = self._keeper_of(admitted, session_id)
        points = beginning.open_points(lambda: runner.refuse(SessionRefused(Reason.resumed_elsewhere)))
        runner = SessionRunner(
            SessionMachine(identity, beginning.limits, self._quota_of(admitted, now_ms), now_ms),
            house.placement.session(place),
            self._queue_for(keeper),
            port,
            Observers(house.metrics, session_log, span, transport),
            now_ms=house.now_ms,
            on_closed=lambda closed: self._ended(closed, admitted, keeper),
        )
        try:
            runner.begin(
                request.audio,
                self._decoder_for(request),
                max_waiting_bytes=house.sessions.max_waiting_bytes,
                commits=points,
            )
        except SessionRefused as refusal:
            if points is not None:
                points.close(refusal.reason)
            raise
        house.admission.policies.note_session(admitted.policies, session_id)
        house.registry.add(runner, caller, _terms_of(admitted, points, grant, on_record))
        if house.decisions is not None and on_record is not None:
            house.decisions.lives(runner, on_record)
        admitted.tab.attach(runner, add_ons=add_ons_of(request.options))
        house.metrics.sessions_opened.labels(transport).inc()
        session_log.info(
            "session.opened",
            transport=transport,
            encoding=request.audio.encoding.value,
            sample_rate_hz=request.audio.sample_rate_hz,
            model=request.options.model,
        )
        if guest.continued is not None:
            from_ms = beginning.origin.start_sample // SAMPLES_PER_MS
            session_log.info("session.resumed", generation=guest.continued.generation, from_ms=from_ms)
        return runner

    def _beginning_of(self, guest: Guest, request: SessionRequest) -> _Beginning:
        """Raises ClientFault: what goes on cannot go on so."""
        admitted, continued, resumption = guest.admitted, guest.continued, self._house.resumption
        limits = self._limits_of(admitted)
        if resumption is None:
            return _Beginning(admitted.session_id, limits)
        origin = SessionOrigin()
        gateways = self._house.admission.policies.gateways_for(admitted.policies, admitted.place)
        session_id, longest_ms = admitted.session_id, limits.session_ms
        if continued is not None:
            origin, session_id = resumption.origin_of(continued, request), continued.claims.session_id
            limits = replace(limits, session_ms=resumption.left_ms(continued, longest_ms))
        note = SessionNote(
            session_id=session_id,
            tab_id=admitted.tab_id,
            caller=admitted.caller,
            permitted=admitted.policies.permitted.checkpoint,
            options=request.option_digests,
            continued=continued,
            longest_session_ms=longest_ms,
            situation=admitted.policies.asked_about,
        )
        return _Beginning(
            session_id,
            limits,
            origin,
            resumption.token_for(note),
            resumption.resume_at(gateways),
            lambda on_superseded: resumption.open(note, origin, on_superseded),
        )

    def _limits_of(self, admitted: Admitted) -> SessionLimits:
        """The house's limits, or the plan's where they are narrower."""
        if admitted.plan.max_session_ms >= self._limits.session_ms:
            return self._limits
        return replace(self._limits, session_ms=admitted.plan.max_session_ms)

    def _quota_of(self, admitted: Admitted, now_ms: int) -> SessionQuota:
        rules = self._house.credit.quota_rules(admitted.plan.when_exhausted)
        return SessionQuota(rules, admitted.tab.opening, now_ms)

    def _decoder_for(self, request: SessionRequest) -> Callable[[SessionRunner], AudioDecoder]:
        skipped_samples = 0 if request.resume is None else request.resume.skipped_samples

        def make(runner: SessionRunner) -> AudioDecoder:
            on_pcm: Callable[[bytes], None] = runner.audio
            if skipped_samples:
                on_pcm = runner.head = SkippedHead(skipped_samples, runner.audio, runner.keepalive)
            return self._house.decoders.open(request.audio, on_pcm=on_pcm, on_error=runner.refuse)

        return make

    def _keeper_of(self, admitted: Admitted, session_id: str) -> SessionKeeper | None:
        """None: nothing that is said is kept."""
        transcripts, situation = self._house.transcripts, admitted.policies.situation
        if transcripts is None or situation is None:
            return None
        subject_id = admitted.request.subject_id or admitted.caller.stated.subject_id or admitted.caller.subject
        return transcripts.listener(Spoken(session_id, situation, subject_id))

    def _queue_for(self, keeper: SessionKeeper | None) -> ClientQueue:
        bound = self._house.sessions.max_queued_messages
        return ClientQueue(bound) if keeper is None else OverheardQueue(bound, keeper.heard)

    def _on_record(self, session_id: str, guest: Guest) -> SessionOnRecord | None:
        decisions = self._house.decisions
        if decisions is None:
            return None
        return decisions.begin(session_id, guest.admitted, goes_on=guest.continued is not None)

    def _ended(self, runner: SessionRunner, admitted: Admitted, keeper: SessionKeeper | None) -> None:
        self._house.registry.remove(runner)
        if self._house.decisions is not None:
            self._house.decisions.ended(runner)
        if keeper is not None:
            keeper.ended()
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


def _terms_of(
    admitted: Admitted, points: SessionPoints | None, grant: SessionGrant | None, on_record: SessionOnRecord | None
) -> Terms:
    follows: tuple[Callable[[PolicySet], None], ...] = ()
    if points is not None:
        follows = (lambda policies: points.permit(policies.permitted.checkpoint, policies.asked_about),)
    if grant is not None:
        follows = (*follows, grant.permit)
    if on_record is not None:
        follows = (*follows, on_record.permit)
    return Terms(admitted.policies, admitted.request, admitted.place, follows)


_NEW = SessionOrigin()


def _no_points(_on_superseded: Callable[[], None]) -> SessionPoints | None:
    return None


@dataclass(frozen=True, slots=True)
class _Beginning:
    """From where, for how long and with which note a session begins. Nothing is noted before `open_points`."""

    session_id: str
    limits: SessionLimits
    origin: SessionOrigin = _NEW
    resume_token: str = ""
    resume_at: tuple[str, ...] = ()
    open_points: Callable[[Callable[[], None]], SessionPoints | None] = _no_points
