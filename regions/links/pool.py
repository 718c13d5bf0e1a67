"""The replicas of one region behind one interface: members come and go, and a stream is opened where it fits best.

These must stay true:
  - `open` returns at once and calls nobody back.
  - Nobody's stream ends because a listing changed, before its session had the time to move away.
  - A replica that would not take a stream costs one question more, at most `open_retries` times, never an overload.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
import structlog

from engines.interface import MoveReason, RefusalReason, Refused
from policies.plans import Tier
from policies.replica_choice import NoReplica, ReplicaRequest, choose_replica
from policies.retry_budget import RetryBudget, RetryLimits
from policies.slow_start import WHOLE_PERMILLE, ramps
from policies.tier_classes import DEFAULT_CLASSES
from policies.tier_slots import TierHeadroom, slots_tier
from regions.discovery.interface import EngineAddress
from regions.links.grpc_link import GrpcLink
from regions.links.member import Member, RoomRules
from regions.links.membership import Membership, MembershipLimits
from regions.links.pool_stream import PoolStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import LoadReport, LossReason, OpenStream, StreamEvent
    from policies.orders import Order
    from policies.replica_choice import ReplicaFacts
    from policies.routing_facts import CapacityClass
    from policies.slow_start import SlowStartLimits
    from regions.discovery.interface import Discovery
    from regions.links.certificates import LinkTls
    from regions.links.engine_report import EngineReport
    from regions.links.interface import EngineStream
    from regions.links.outcomes import StreamOutcome
    from regions.links.pool_metrics import PoolMetrics
    from regions.links.settings import PoolSettings

_TEND_S = 0.1
_REFUSALS = {
    NoReplica.none_connected: RefusalReason.unreachable,
    NoReplica.unknown_model: RefusalReason.unknown_model,
    NoReplica.unsupported_language: RefusalReason.unsupported_language,
    NoReplica.no_permitted_capacity: RefusalReason.no_free_slot,
    NoReplica.draining: RefusalReason.draining,
    NoReplica.tripped: RefusalReason.no_free_slot,
    NoReplica.no_free_slot: RefusalReason.no_free_slot,
}
_FOR_GOOD = (RefusalReason.unknown_model, RefusalReason.unsupported_language)

log = structlog.get_logger("links")


class LinkPool:
    """An EnginePool over gRPC links: engines of this region, or relays of another. Its owner runs `run`.

    Args:
        gateway: what this gateway process calls itself.
        discovery: finds more members than `settings.addresses`.
        region: whose replicas they are; for metrics.
        tls: for the relays of another region. What fails behind a relay says nothing of the relay: such a pool holds
            no member out for it (policies.region_health does, for the region).
        on_outcome: told what became of each stream, with the member's address, from inside; must return at once.
    """

    def __init__(
        self,
        settings: PoolSettings,
        *,
        gateway: str,
        discovery: Discovery | None = None,
        region: str = "",
        tls: LinkTls | None = None,
        metrics: PoolMetrics | None = None,
        on_outcome: Callable[[str, StreamOutcome], None] | None = None,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._discovery = discovery
        self._region = region
        self._tls = tls
        self._metrics = metrics
        self._on_outcome = on_outcome
        self.headroom = TierHeadroom(standard_permille=0, economy_permille=0)
        """What tiers leave to those above them."""
        self.classes = DEFAULT_CLASSES
        """Which machines each tier should have, and may."""
        self.slow_start: SlowStartLimits | None = None
        """How members begin that have just come; None: at once."""
        self.class_of_pool: Callable[[str], CapacityClass | None] = lambda _name: None
        """How a pool's machines are paid for; where nobody knows it, what discovery says of the engine holds."""
        self._retries = RetryBudget(RetryLimits(max_attempts=settings.open_retries + 1))
        self._membership = Membership(MembershipLimits(settings.removal_grace_ms, settings.retire_within_ms))
        self._members: dict[str, Member] = {}
        """By address, those that retire among them."""
        self._fixed: tuple[EngineAddress, ...] = tuple(EngineAddress(address) for address in settings.addresses)
        self._found: tuple[EngineAddress, ...] = ()
        self._sessions: dict[str, list[PoolStream]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._changed = asyncio.Event()
        self._forget: Callable[[], None] = lambda: None
        self._order_on: Callable[[EngineAddress, str], Order | None] | None = None
        self._listed(now_ms=0)
        if metrics is not None:
            self._forget = metrics.watch(
                region,
                members=lambda: len(self._members),
                connected=lambda: sum(member.link.is_connected for member in self._members.values()),
            )

    @property
    def is_ready(self) -> bool:
        """Whether a replica is connected that takes streams."""
        return any(link.load is not None and not link.is_draining for link in self.links)

    @property
    def links(self) -> Sequence[GrpcLink]:
        """Of the members that take streams, if they are connected, in the order in which they came."""
        return [member.link for member in self._members.values() if not member.entry.is_retiring]

    @property
    def members(self) -> Sequence[EngineAddress]:
        """What is known of each of `links`."""
        return [member.entry.facts for member in self._members.values() if not member.entry.is_retiring]

    @property
    def silent(self) -> int:
        """How many members are listed and do not answer."""
        return sum(link.load is None for link in self.links)

    @property
    def dispatchers(self) -> int:
        """How many pools place on these replicas, this one included; by what the replicas say."""
        return max((link.load.gateways for link in self.links if link.load is not None), default=1)

    def set_members(self, members: tuple[EngineAddress, ...]) -> None:
        """These, and what discovery finds, are the members from here on; `settings.addresses` are no more."""
        self._fixed = members
        self._listed(now_ms=self.now_ms())

    def set_orders(self, order_on: Callable[[EngineAddress, str], Order | None] | None) -> None:
        """Which order holds a replica out, from what is known of it and the pool that it says it belongs to; for all
        that are here and all that come. It must be quick. None: no order does.
        """
        self._order_on = order_on

    def order_on(self, address: str) -> Order | None:
        """What holds the replica out."""
        member = self._members.get(address)
        if self._order_on is None or member is None:
            return None
        load = member.link.load
        return self._order_on(member.entry.facts, "" if load is None else load.pool)

    def pool_of(self, address: str) -> str:
        """Which pool the replica says it belongs to; empty: not known."""
        member = self._members.get(address)
        if member is None:
            return ""
        load = member.link.load
        return member.entry.facts.pool if load is None else load.pool

    def class_of(self, address: str) -> CapacityClass | None:
        """How the replica's machine is paid for: as the catalog has its pool, else as it said when it registered. None:
        nobody knows it.
        """
        member = self._members.get(address)
        return None if member is None else member.known_class(self.class_of_pool)

    def streams(self) -> list[PoolStream]:
        """Those that a replica has granted."""
        return [stream for streams in self._sessions.values() for stream in streams if stream.is_granted]

    def streams_held(self) -> list[tuple[Order, PoolStream]]:
        """Those on replicas that an order holds out, and which order that is."""
        if self._order_on is None:
            return []
        orders = {address: self.order_on(address) for address in self._members}
        return [
            (order, stream)
            for stream in self.streams()
            if stream.replica is not None and (order := orders.get(stream.replica.address)) is not None
        ]

    def refusal_of(self, asked: OpenStream) -> RefusalReason | None:
        """Why no replica would be asked for such a stream at this moment; None: one would be."""
        facts, request = self._seen_by(asked, frozenset(), self.now_ms())
        chosen = choose_replica(request, facts)
        return _REFUSALS[chosen] if isinstance(chosen, NoReplica) else None

    async def run(self) -> None:
        """Keep all links up, and the list of members true, until cancelled; then every stream is lost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for member in self._members.values():
                    member.start(tasks)
                if self._discovery is not None:
                    tasks.create_task(self._discovery.run(self._discovered))
                await self._tend()
        finally:
            self._tasks = None
            self._forget()

    def loads(self) -> list[LoadReport]:
        return [
            msgspec.structs.replace(member.link.load, replica=str(member.entry.number))
            for member in self._members.values()
            if member.link.load is not None and not member.entry.is_retiring
        ]

    def reports(self) -> list[EngineReport]:
        """Of all members whose link stands, those that retire among them: what they hold is in use."""
        return [report for member in self._members.values() if (report := member.report()) is not None]

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> EngineStream:
        """Open on the replica that policies.replica_choice prefers. See EnginePool.open.

        A replica on which the session has another stream is taken only if no other has room: it moves away from there.
        """
        self._retries.placed(self.now_ms())
        chosen = self._choose(stream, frozenset())
        if isinstance(chosen, Member):
            opened = PoolStream(self, chosen, stream, on_event)
            self._sessions.setdefault(stream.session_id, []).append(opened)
            return opened
        refused = _RefusedStream(on_event)
        refusal = Refused(stream.epoch, chosen, None if chosen in _FOR_GOOD else self._settings.retry_after_ms)
        asyncio.get_running_loop().call_soon(refused.refuse, refusal)
        return refused

    # --- what streams ask ---------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000)

    def choose_again(self, stream: OpenStream, tried: frozenset[str]) -> Member | None:
        # Nor where the session has a stream already: what was refused to it elsewhere may be had in a moment.
        chosen = self._choose(stream, tried | self._where_is(stream.session_id))
        if not isinstance(chosen, Member) or self._retries.ask(self.now_ms(), attempt=len(tried)) is not None:
            return None
        if self._metrics is not None:
            self._metrics.retries.labels(self._region).inc()
        return chosen

    def over(self, stream: PoolStream) -> None:
        streams = self._sessions.get(stream.asked.session_id)
        if streams is not None and stream in streams:
            streams.remove(stream)
            if not streams:
                del self._sessions[stream.asked.session_id]

    def _choose(self, stream: OpenStream, tried: frozenset[str]) -> Member | RefusalReason:
        now_ms = self.now_ms()
        facts, request = self._seen_by(stream, tried, now_ms)
        on_probation: Member | None = None
        while True:
            chosen = choose_replica(request, facts)
            if isinstance(chosen, NoReplica):
                # Better one that others are trying out than none.
                return on_probation or _REFUSALS[chosen]
            member = self._members[chosen]
            if member.may_begin(now_ms):
                return member
            on_probation = on_probation or member
            facts = [fact for fact in facts if fact.name != chosen]

    def _seen_by(
        self, stream: OpenStream, tried: frozenset[str], now_ms: int
    ) -> tuple[list[ReplicaFacts], ReplicaRequest]:
        payer = _tier_of(stream, is_replay=False)
        rule = self.classes.of(payer)
        classes = None if stream.is_replay or rule.is_free else rule
        # Of engines behind a relay nothing is known here: the relay chooses among them by the same classes.
        here, behind = (stream.classes, None) if self._tls is None else (None, stream.classes)
        room = RoomRules(_tier_of(stream), self.headroom, classes, self.class_of_pool, here, behind)
        open_ = [member for member in self._members.values() if member.is_open]
        facts = [
            member.facts(stream, room, now_ms, ramp_permille=share)
            for member, share in zip(open_, self._ramps(open_, stream, now_ms), strict=True)
            if member.address not in tried
        ]
        return facts, ReplicaRequest(
            tier=payer,
            draw=random.getrandbits(32),
            avoided=self._where_is(stream.session_id),
            dispatchers=self.dispatchers,
            classes=self.classes,
        )

    def _ramps(self, members: Sequence[Member], stream: OpenStream, now_ms: int) -> Sequence[int]:
        """Sessions that go on may use all that a new member has."""
        if self.slow_start is None or stream.is_replay:
            return [WHOLE_PERMILLE] * len(members)
        return ramps([member.age_ms(now_ms) for member in members], self.slow_start)

    def _where_is(self, session_id: str) -> frozenset[str]:
        streams = self._sessions.get(session_id, ())
        return frozenset(stream.replica.address for stream in streams if stream.replica is not None)

    # --- members ------------------------------------------------------------------------------------------

    def _discovered(self, found: tuple[EngineAddress, ...]) -> None:
        self._found = found
        self._listed(now_ms=self.now_ms())

    def _listed(self, *, now_ms: int) -> None:
        keeps = self._discovery is not None and self._discovery.keeps_connected
        self._membership.listed(self._fixed, self._found, keeps=keeps, now_ms=now_ms)
        for address, entry in self._membership.entries.items():
            if address not in self._members:
                self._members[address] = member = Member(entry, self._link(address), holds_out=self._tls is None)
                if self._tasks is not None:
                    member.start(self._tasks)
        self._changed.set()

    def _link(self, address: str) -> GrpcLink:
        on_outcome = self._on_outcome
        link = GrpcLink(
            address,
            self._settings.link,
            gateway=self._gateway,
            retry_after_ms=self._settings.retry_after_ms,
            tls=self._tls,
            on_outcome=None if on_outcome is None else lambda outcome: on_outcome(address, outcome),
        )
        link.is_held = lambda load: self._is_held(address, load)
        return link

    def _is_held(self, address: str, load: LoadReport) -> bool:
        order_on, member = self._order_on, self._members.get(address)
        return order_on is not None and member is not None and order_on(member.entry.facts, load.pool) is not None

    async def _tend(self) -> None:
        """Let members go when it is time."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while not self._membership.is_settled:
                self._let_go(self.now_ms())
                await asyncio.sleep(_TEND_S)

    def _let_go(self, now_ms: int) -> None:
        members = self._members
        connected = [address for address, member in members.items() if member.link.is_connected]
        for address in self._membership.retire_due(now_ms, connected):
            log.info("pool.member_retired", region=self._region, streams=members[address].link.open_streams)
            members[address].link.move_away(MoveReason.engine_draining, within_ms=self._settings.retire_within_ms)
        busy = [address for address, member in members.items() if member.link.open_streams]
        for address in self._membership.remove_due(now_ms, busy):
            members.pop(address).stop()


def _tier_of(stream: OpenStream, *, is_replay: bool | None = None) -> Tier:
    """Whose slots it may take; a caller without a plan is a standard one."""
    tier = Tier(stream.tier) if stream.tier in Tier.__members__ else Tier.standard
    return slots_tier(tier, is_replay=stream.is_replay if is_replay is None else is_replay)


class _RefusedStream:
    """A stream that no replica was asked for."""

    def __init__(self, on_event: Callable[[StreamEvent], None]) -> None:
        self._on_event = on_event
        self._is_over = False

    def send_audio(self, pcm16: bytes) -> None:
        """Nobody listens."""

    def finalize(self, at_sample: int) -> None:
        """Nobody listens."""

    def finish(self, at_sample: int) -> None:
        """Nobody listens."""

    def cancel(self, reason: LossReason | None = None) -> None:
        self._is_over = True

    def refuse(self, refusal: Refused) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_event(refusal)
