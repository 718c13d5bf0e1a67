"""Orgs whose compute is limited over all regions, in the simulated world: policies.escrow between its regions.

Each region has a bucket of what the org's home region lent it, and spends it for its sessions, a step at a time. What
is not there throttles them: for so long they are not served. Messages take half a round trip each way. Every window of
what all regions spend is held against the bound of policies.escrow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.compute_quota import Bucket
from policies.escrow import Ask, HoldingRules, Loan, Terms
from policies.escrow_asking import AskingRules, Demand, spent_us, wanted_us
from policies.escrow_region import Books, Look, Minting, look
from policies.escrow_root import Root, lend
from policies.plans import MICRO, Rate
from regions.simulator.result import Lending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regions.simulator.events import Agenda
    from regions.simulator.scenario import LimitedOrg, Scenario
    from regions.simulator.session import Session
    from regions.simulator.sight import Place, Sight
    from regions.simulator.tally import Tally

STEP_MS = 250
_ASKING = AskingRules(chunk_ms=250, ahead_ms=500, report_ms=1_000, look_ms=50, idle_ms=30_000)
_CALL_TIMEOUT_MS = 1_000
_TURN_US = 3 * MICRO
_AWAY_US = 3 * MICRO
_LEARNING_US = 5 * MICRO
"""As gateway.escrow.settings has them."""
_EPOCH_US = 1_700_000_000 * MICRO
"""Midnight of the simulated clock, somewhere in Unix time: totals begin far from 0."""
_PERMILLE = 1_000


class WindowCheck:
    """The most that any window spent above `burst + rate x length`, in micro-units; told of spends in their order."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._spent = 0
        self._least: int | None = None
        self.worst_us = -rate.burst

    def spend(self, amount_us: int, at_us: int) -> None:
        earned = self._rate.per_s * at_us
        before = self._spent * MICRO - earned
        self._least = before if self._least is None else min(self._least, before)
        self._spent += amount_us
        excess = self._spent * MICRO - earned - self._least
        self.worst_us = max(self.worst_us, -(-excess // MICRO) - self._rate.burst)

    @property
    def spent_us(self) -> int:
        return self._spent


@dataclass(slots=True, eq=False)
class _Branch:
    """What one region has of one org."""

    place: Place
    life: int = 0
    """Which life of the region's Redis."""
    bucket: Bucket = field(default_factory=lambda: Bucket(0, 0, _EPOCH_US, 0))
    books: Books | None = None
    demand: Demand = field(default_factory=Demand)
    sessions: dict[Session, None] = field(default_factory=dict)
    is_stepping: bool = False
    is_asking: bool = False
    spoke_at_ms: int = -1_000_000


@dataclass(frozen=True, slots=True)
class _Message:
    org: _Org
    branch: _Branch
    ask: Ask
    loan: Loan | None = None


class _Org:
    """One limited org: its root, and its branch in each region."""

    def __init__(self, spec: LimitedOrg, home: int, places: Sequence[Place]) -> None:
        self.spec = spec
        self.home = home
        self.rate = Rate(round(spec.rate_per_s * MICRO), round(spec.burst_s * MICRO))
        self.holding_us = HoldingRules(spec.holding_ms, least_us=MICRO // 10).holding_us(self.rate)
        self.root: Root | None = None
        self.branches = [_Branch(place) for place in places]
        self.check = WindowCheck(self.rate)
        self.throttled_ms = 0


class OrgsLimits:
    """All limited orgs of one run. Told of each stream that begins and ends."""

    def __init__(self, scenario: Scenario, agenda: Agenda, places: Sequence[Place], sight: Sight, tally: Tally) -> None:
        self._agenda = agenda
        self._places = places
        self._sight = sight
        self._tally = tally
        self._orgs = {org.name: _Org(org, sight.number_of(org.home), places) for org in scenario.orgs}
        self._throttled: set[int] = set()

    def placed(self, session: Session) -> None:
        org, place = self._orgs.get(session.caller.org), session.place
        if org is None or place is None:
            return
        branch = org.branches[place.number]
        branch.sessions[session] = None
        if not branch.is_stepping:
            branch.is_stepping = True
            branch.demand.at_ms = self._agenda.now_ms
            self._agenda.after(STEP_MS, self._step, (org, branch))

    def left(self, session: Session) -> None:
        org, place = self._orgs.get(session.caller.org), session.place
        if org is not None and place is not None:
            org.branches[place.number].sessions.pop(session, None)

    def lendings(self) -> tuple[Lending, ...]:
        """What came of each org: `excess_us` is against the bound with what all regions may hold."""
        return tuple(
            Lending(
                org=name,
                spent_s=org.check.spent_us / MICRO,
                throttled_s=org.throttled_ms / 1_000,
                excess_us=org.check.worst_us - org.holding_us * len(org.branches),
            )
            for name, org in sorted(self._orgs.items())
        )

    # --- one step -----------------------------------------------------------------------------------------

    def _step(self, of: tuple[_Org, _Branch]) -> None:
        org, branch = of
        if not branch.sessions:
            branch.is_stepping = False
            self._look(org, branch, gives_back=True)
            return
        self._spend(org, branch)
        self._look(org, branch)
        self._agenda.after(STEP_MS, self._step, of)

    def _spend(self, org: _Org, branch: _Branch) -> None:
        per_session_us = STEP_MS * org.spec.compute_permille
        for session in branch.sessions:
            if per_session_us <= branch.bucket.balance_us:
                branch.bucket.balance_us -= per_session_us
                org.check.spend(per_session_us, self._now_us())
                continue
            session.unserved_ms += STEP_MS
            org.throttled_ms += STEP_MS
            if session.caller.number not in self._throttled:
                self._throttled.add(session.caller.number)
                self._tally.count("throttled")

    def _look(
        self,
        org: _Org,
        branch: _Branch,
        *,
        loan: Loan | None = None,
        is_unanswered: bool = False,
        gives_back: bool = False,
        may_ask: bool = True,
    ) -> None:
        now_ms = self._agenda.now_ms
        step = Look(
            asker=branch.place.name,
            turn_us=_TURN_US,
            holding_us=org.holding_us,
            minting=Minting.never,
            safe_per_s=0,
            away_after_us=_AWAY_US,
            loan=loan,
            is_unanswered=is_unanswered,
            gives_back=gives_back,
        )
        branch.books, seen = look(
            branch.books, branch.bucket, step, now_us=self._now_us(), server=f"{branch.place.name} {branch.life}"
        )
        branch.demand.observe(spent_us(seen.ask, seen.minted_us), now_ms=now_ms)
        if not may_ask or branch.is_asking or not branch.place.is_up:
            return
        # Throttled sessions spend nothing: what they would is wanted, too.
        per_s = max(branch.demand.per_s, len(branch.sessions) * org.spec.compute_permille * 1_000)
        wanted = 0
        if not gives_back:
            wanted = wanted_us(seen.balance_us, seen.ask, per_s, org.rate, org.holding_us, _ASKING)
        if not wanted and not gives_back and now_ms - branch.spoke_at_ms < _ASKING.report_ms:
            return
        ask = Ask(
            seen.ask.epoch,
            seen.ask.generation,
            seen.ask.sequence,
            seen.ask.received_us,
            seen.ask.returned_us,
            seen.ask.holding_us,
            wanted,
        )
        branch.is_asking = True
        branch.spoke_at_ms = now_ms
        self._agenda.after(self._one_way_ms(org, branch), self._at_root, _Message(org, branch, ask))

    # --- messages -----------------------------------------------------------------------------------------

    def _at_root(self, message: _Message) -> None:
        org, branch = message.org, message.branch
        if not self._places[org.home].is_up:
            self._agenda.after(_CALL_TIMEOUT_MS, self._unanswered, message)
            return
        terms = Terms(org.rate, org.holding_us, _LEARNING_US)
        server = self._places[org.home].name
        org.root, loan = lend(org.root, branch.place.name, message.ask, terms, now_us=self._now_us(), server=server)
        answer = _Message(org, branch, message.ask, loan)
        self._agenda.after(self._one_way_ms(org, branch), self._answered, answer)

    def _answered(self, message: _Message) -> None:
        message.branch.is_asking = False
        if message.branch.place.is_up:
            self._look(message.org, message.branch, loan=message.loan, may_ask=False)

    def _unanswered(self, message: _Message) -> None:
        message.branch.is_asking = False
        if message.branch.place.is_up:
            self._look(message.org, message.branch, is_unanswered=True, may_ask=False)

    def _one_way_ms(self, org: _Org, branch: _Branch) -> int:
        return max(1, round(self._sight.rtt_ms[branch.place.number][org.home] / 2))

    def _now_us(self) -> int:
        return _EPOCH_US + self._agenda.now_ms * 1_000
