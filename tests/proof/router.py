"""Sessions of drawn callers in drawn topologies under drawn outages, placed by the real router.

A case is one decision of the router. It is a violation if any region that the session would be tried in, or what is
done on the way there, is not permitted by the oracle at that moment; also if a session is let in where it may not be.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from policies import routing
from policies.plans import Tier
from policies.residency.decision import Situation
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action, Trigger
from policies.routing_facts import ALL_CLASSES, RegionSnapshot, RegionState, RouteDecision, RouteRequest
from tests.proof.bundles import HOUR, REGIONS, BundleMaker
from tests.proof.callers import some_situation
from tests.proof.fence import Asking, Doing, Policy, seconds_of
from tests.proof.outages import LANGUAGES, some_outage

WEIGHTS = routing.RoutingWeights()
OUTAGES, ASKERS, SESSIONS = 40, 8, 120
"""Of each topology: states of the world, callers, and sessions of each caller in each round."""


@dataclass
class Tally:
    cases: int = 0
    topologies: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    examined: int = 0
    """Regions that would have been tried, each held against the oracle."""

    def add(self, other: Tally) -> None:
        self.cases += other.cases
        self.topologies += other.topologies
        self.outcomes += other.outcomes
        self.violations += other.violations
        self.examined += other.examined


def run_topology(seed: int, starter: Mapping[str, bytes], *, sessions: int = SESSIONS) -> Tally:
    """One topology with its bundles, and everything that befalls it."""
    return _Topology(seed, starter).run(sessions)


class _Topology:
    def __init__(self, seed: int, starter: Mapping[str, bytes]) -> None:
        self._seed = seed
        self._dice = dice = random.Random(seed)
        self._maker = maker = BundleMaker(starter, dice)
        self._regions = tuple(dice.sample(REGIONS, dice.randint(2, 12)))
        self._names = frozenset(self._regions)
        self._noon = maker.noon()
        self._tally = Tally(topologies=1)
        self._policies = [Policy(maker.make(self._regions, self._noon))]
        if dice.random() < 0.4:
            self._policies.append(Policy(maker.make(self._regions, self._noon, version="2")))
        self._outages = [some_outage(dice, self._regions, self._regions[0]) for _ in range(OUTAGES)]

    def run(self, sessions: int) -> Tally:
        dice = self._dice
        oracle = self._policies[0].oracle
        projects = {name: row["profile"] for name, row in oracle.projects.items()}
        profiles = sorted(oracle.profiles)
        askers = [self._asking(some_situation(dice, profiles, projects)) for _ in range(ASKERS)]
        for moment in self._moments():
            for asking in askers:
                for _ in range(sessions):
                    if not self._session(asking, moment):
                        break
        return self._tally

    def _asking(self, situation: Situation) -> Asking:
        """At some gateway; mostly it was sent on to one that takes it, if any does."""
        dice = self._dice
        asking = Asking(situation, dice.choice(self._regions), dice.random() < 0.15)
        takes_it = self._policies[0].permitted(asking, self._names, seconds_of(self._noon)).terminate
        if takes_it and dice.random() < 0.9:
            return replace(asking, here=dice.choice(sorted(takes_it)))
        return asking

    def _moments(self) -> Iterator[Sequence[tuple[int, Policy]]]:
        """For each round: when the steps of its sessions are, and what is in force then. Time goes on in a round, and
        in some a bundle is replaced.
        """
        first, last = self._policies[0], self._policies[-1]
        hours = [(0, 0, 0, 0), (0, 1, 1, 1), (1, 2, 2, 3), (2, 3, 4, 5)]
        for half_hours in hours:
            at = [seconds_of(self._noon + after * HOUR) for after in half_hours]
            yield [(at[0], first), (at[1], first), (at[2], last), (at[3], last)]

    def _session(self, asking: Asking, moment: Sequence[tuple[int, Policy]]) -> bool:
        """It begins, loses its engine, loses the next one, and goes on as time passes and policies change. Whether it
        was let in.
        """
        dice, tally = self._dice, self._tally
        at_s, policy = moment[0]
        permitted = policy.permitted(asking, self._names, at_s)
        if not self._is_let_in(asking, policy, permitted, at_s):
            return False
        current: str | None = None
        avoided: frozenset[str] = frozenset()
        tier, draw = dice.choice(list(Tier)), dice.randrange(1_000)
        language = dice.choice(LANGUAGES)
        for step, (at_s, policy) in enumerate(moment):
            goes_on = current is not None
            permitted = policy.permitted(asking, self._names, at_s)
            if goes_on and asking.here not in permitted.terminate:
                tally.outcomes["ended: its gateway may not hear it any more"] += 1
                return True
            request = RouteRequest(
                permitted=permitted.recognising(goes_on=goes_on),
                tier=tier,
                model=dice.choice(("", "general")),
                model_version="",
                language=language,
                current=current,
                avoided=avoided,
                draw_permille=draw,
                goes_on=goes_on,
                classes=permitted.classes,
            )
            snapshot = dice.choice(self._outages)
            decision = routing.decide(request, snapshot, WEIGHTS)
            tally.cases += 1
            self._examine(asking, policy, at_s, request, snapshot, decision)
            tally.outcomes[_outcome(asking, step, current, decision, request)] += 1
            if decision.chosen is None:
                if dice.random() < 0.5:
                    return True
                continue
            current, avoided = decision.chosen, frozenset({decision.chosen})
        return True

    def _is_let_in(self, asking: Asking, policy: Policy, permitted: Permitted, at_s: int) -> bool:
        """Whether its gateway may hear it; and what may be kept of it where."""
        if asking.here not in permitted.terminate:
            self._tally.outcomes["refused at the door"] += 1
            return False
        self._hold(asking, policy, at_s, Doing(Action.terminate, asking.here, Trigger.initial))
        for region in sorted(permitted.checkpoint):
            self._hold(asking, policy, at_s, Doing(Action.store_checkpoint, region, Trigger.initial))
        return True

    def _examine(
        self,
        asking: Asking,
        policy: Policy,
        at_s: int,
        request: RouteRequest,
        snapshot: RegionSnapshot,
        decision: RouteDecision,
    ) -> None:
        trigger = Trigger.failover if request.goes_on else Trigger.initial
        action = Action.failover if request.goes_on else Action.process
        facts = {region.name: region for region in snapshot.regions}
        draining = {region.name for region in snapshot.regions if region.state is RegionState.draining}
        for candidate in decision.candidates:
            region = candidate.region
            self._tally.examined += 1
            is_draining = region in draining
            classes = request.classes.get(region, ALL_CLASSES)
            if not any(facts[region].free_slots_of_class[capacity.value] > 0 for capacity in classes):
                self._tally.violations.append(f"seed {self._seed}: {region} has no machine of {sorted(classes)} free")
            for capacity in classes:
                self._hold(asking, policy, at_s, Doing(action, region, trigger, capacity, is_draining))
            if region != asking.here:
                self._hold(asking, policy, at_s, Doing(Action.relay, region, trigger, is_draining=is_draining))

    def _hold(self, asking: Asking, policy: Policy, at_s: int, doing: Doing) -> None:
        if not policy.is_permitted(asking, doing, at_s):
            self._tally.violations.append(f"seed {self._seed}: at {at_s} {doing} of {asking}")


def _outcome(asking: Asking, step: int, current: str | None, decision: RouteDecision, request: RouteRequest) -> str:
    begins = "begins" if current is None else ("goes on" if step < 2 else "goes on, two hops")
    if decision.chosen is None:
        return (
            f"{begins}: refused, policy permits no region" if not request.permitted else f"{begins}: refused, none free"
        )
    if decision.chosen == current:
        return f"{begins}: stays"
    return f"{begins}: {'here' if decision.chosen == asking.here else 'elsewhere, by a relay'}"
