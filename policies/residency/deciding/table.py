"""Remembers decisions, so that a session waits for none: a question that was asked before is a look-up.

A table belongs to one engine and so to one stretch of time: when the engine no longer holds, fill another and swap.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from policies.residency.decision import Question
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action, Trigger
from policies.routing_facts import ALL_CLASSES, CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.residency.deciding.engine import ResidencyEngine
    from policies.residency.decision import Decision, Situation
    from policies.residency.vocabulary import DataClass, LegalBasis

MAX_SITUATIONS = 4_096
"""With the starter set and its 18 regions one takes 8 KiB (tracemalloc, mean of 120 projects): 32 MiB in all."""
MOVES = tuple(trigger for trigger in Trigger if trigger is not Trigger.initial)
"""What may make a session go on elsewhere. Which of them it will be is not known when it is decided where it may."""
_MAX_PERMITTED_OF_ONE = 16
_MAX_SHARED_DECISIONS = 10_000
_CLASSES = tuple(CapacityClass)
_Facts = tuple[str, str, "DataClass", frozenset[str], bool, bool, "LegalBasis"]
_Allowed = dict[tuple[Action, Trigger, str], set[CapacityClass]]
_Key = tuple[Action, str, CapacityClass, Trigger, bool, bool]


@dataclass(slots=True, weakref_slot=True, eq=False)
class _Known:
    """What is known of situations that no rule can tell apart."""

    decisions: dict[_Key, Decision] = field(default_factory=dict)
    permitted: dict[tuple[frozenset[str], str, bool], Permitted] = field(default_factory=dict)


class DecisionTable:
    """What no rule can tell apart is remembered once: two countries of speakers that the same regimes protect, and the
    capacity, where no rule about the action asks for it.

    Bounded: of more situations than `max_situations`, the one not asked about for longest is forgotten with all its
    decisions, and asked anew when it comes back. Of one situation there are as many decisions as there are different
    questions about known regions; what is unknown is denied without being remembered.
    """

    def __init__(self, engine: ResidencyEngine, *, max_situations: int = MAX_SITUATIONS) -> None:
        self.engine = engine
        self._max_situations = max_situations
        self._known: OrderedDict[Situation, _Known] = OrderedDict()
        self._by_facts: WeakValueDictionary[_Facts, _Known] = WeakValueDictionary()
        self._shared_keys: dict[_Key, _Key] = {}
        self._shared_decisions: dict[Decision, Decision] = {}
        self.cold_count = 0
        """How many questions went to the engine."""

    def decide(self, question: Question) -> Decision:
        return self._decide(question, self._of(question.situation))

    def has(self, question: Question) -> bool:
        """Whether the answer is a look-up."""
        situation = question.situation
        known = self._known.get(situation) or self._by_facts.get(self._facts_of(situation))
        return known is not None and self._key(question) in known.decisions

    def situations(self) -> tuple[Situation, ...]:
        """Those asked about so far, the latest last: what a new table should be filled with."""
        return tuple(self._known)

    def fill(self, questions: Iterable[Question]) -> Iterator[None]:
        """Ask them. Each step is one question to the engine at most, so that a loop can do something else between."""
        for question in questions:
            if not self.has(question):
                self.decide(question)
                yield

    def questions_of(
        self,
        situation: Situation,
        regions: Iterable[str],
        here: str,
        *,
        has_break_glass: bool = False,
    ) -> Iterator[Question]:
        """Everything that `permitted` will ask."""
        for region in regions:
            for action, trigger, classes in _asked_of(region, here):
                for capacity in classes:
                    yield Question(situation, action, region, capacity, trigger, has_break_glass=has_break_glass)

    def permitted(
        self,
        situation: Situation,
        regions: Iterable[str],
        *,
        here: str,
        has_break_glass: bool = False,
    ) -> Permitted:
        """The regions that a session may use whose connection a gateway of `here` ends.

        Recognising elsewhere than here needs both: that engines there may have it, and that a relay there may pass it.
        A session goes on where that is permitted whatever makes it move: why it moves is not known beforehand.

        Args:
            regions: all that there are.
        """
        known = self._of(situation)
        names = frozenset(regions)
        key = names, here, has_break_glass
        if (found := known.permitted.get(key)) is not None:
            return found
        allowed: _Allowed = {}
        for question in self.questions_of(situation, sorted(names), here, has_break_glass=has_break_glass):
            if self._decide(question, known).is_allowed:
                asked = question.action, question.trigger, question.region
                allowed.setdefault(asked, set()).add(question.capacity)
        made = _permitted(allowed, names, here)
        if len(known.permitted) >= _MAX_PERMITTED_OF_ONE:
            known.permitted.clear()
        known.permitted[key] = made
        return made

    def _of(self, situation: Situation) -> _Known:
        known = self._known.get(situation)
        if known is None:
            known = self._by_facts.setdefault(self._facts_of(situation), _Known())
            self._known[situation] = known
            if len(self._known) > self._max_situations:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(situation)
        return known

    def _remember(self, known: _Known, key: _Key, decision: Decision) -> None:
        """Situations differ in little: equal keys and decisions are held once."""
        if len(self._shared_decisions) >= _MAX_SHARED_DECISIONS:
            self._shared_decisions.clear()
        key = self._shared_keys.setdefault(key, key)
        known.decisions[key] = self._shared_decisions.setdefault(decision, decision)

    def _key(self, question: Question) -> _Key:
        return question.action, question.region, *self.engine.without_idle_facts(question)

    def _facts_of(self, situation: Situation) -> _Facts:
        """All that Cedar is told of it."""
        return (
            situation.profile,
            situation.project,
            situation.data_class,
            self.engine.areas_asked(situation.subject_countries),
            bool(situation.subject_countries),
            situation.has_consent,
            situation.legal_basis,
        )

    def _decide(self, question: Question, known: _Known) -> Decision:
        key = self._key(question)
        if (found := known.decisions.get(key)) is not None:
            return found
        decision = self.engine.decide(question)
        self.cold_count += 1
        if question.region in self.engine.regions:
            self._remember(known, key, decision)
        return decision


def _asked_of(region: str, here: str) -> Iterator[tuple[Action, Trigger, tuple[CapacityClass, ...]]]:
    any_class = (CapacityClass.reserved,)
    yield Action.terminate, Trigger.initial, any_class
    yield Action.process, Trigger.initial, _CLASSES
    yield Action.store_checkpoint, Trigger.initial, any_class
    for move in MOVES:
        yield Action.failover, move, _CLASSES
    if region != here:
        for trigger in Trigger:
            yield Action.relay, trigger, any_class


def _permitted(allowed: _Allowed, names: frozenset[str], here: str) -> Permitted:
    def where(action: Action, trigger: Trigger = Trigger.initial) -> frozenset[str]:
        return frozenset(region for region in names if (action, trigger, region) in allowed)

    process = where(Action.process) & (where(Action.relay) | {here})
    failover = names
    for trigger in MOVES:
        failover &= where(Action.failover, trigger) & (where(Action.relay, trigger) | {here})
    classes: dict[str, frozenset[CapacityClass]] = {}
    for region in process | failover:
        both = ALL_CLASSES
        if region in process:
            both &= allowed[Action.process, Trigger.initial, region]
        if region in failover:
            of_moves = ALL_CLASSES.intersection(*(allowed[Action.failover, trigger, region] for trigger in MOVES))
            if both.isdisjoint(of_moves):
                failover -= {region}  # begins on one class and goes on upon another: it had better not go on here
            else:
                both &= of_moves
        if both != ALL_CLASSES:
            classes[region] = both
    return Permitted(where(Action.terminate), process, failover, where(Action.store_checkpoint), classes)
