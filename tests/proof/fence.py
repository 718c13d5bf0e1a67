"""What a decision of the router is held against: the oracle on each region that would be tried, at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Question, Situation
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action, Trigger
from policies.routing_facts import CapacityClass
from tests.harness.plain_residency import PlainBundle


@dataclass(frozen=True)
class Asking:
    """Who asks: one session at one gateway."""

    situation: Situation
    here: str
    has_break_glass: bool


@dataclass(frozen=True)
class Doing:
    """One thing that is about to be done with a session's audio."""

    action: Action
    region: str
    trigger: Trigger
    capacity: CapacityClass = CapacityClass.reserved
    is_draining: bool = False


class Policy:
    """One bundle as a gateway has it in force over time, and the oracle beside it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.bundle, self.oracle = _read(tuple(sorted(files.items())))
        self._tables: list[DecisionTable] = []
        self._answers: dict[tuple[float, Asking], dict[Doing, bool]] = {}

    def permitted(self, asking: Asking, regions: frozenset[str], at_s: int) -> Permitted:
        """As a gateway knows it then: from a table, which is another one where those it has do not hold."""
        table = next((table for table in self._tables if table.engine.holds_at(at_s)), None)
        if table is None:
            table = DecisionTable(ResidencyEngine(self.bundle, at_s))
            self._tables.append(table)
        return table.permitted(asking.situation, regions, here=asking.here, has_break_glass=asking.has_break_glass)

    def is_permitted(self, asking: Asking, doing: Doing, at_s: int) -> bool:
        """The oracle's word."""
        answers = self._answers.setdefault((at_s, asking), {})
        found = answers.get(doing)
        if found is None:
            question = Question(
                asking.situation,
                doing.action,
                doing.region,
                doing.capacity,
                doing.trigger,
                doing.is_draining,
                asking.has_break_glass,
            )
            found = answers[doing] = self.oracle.ask(question, at_s).is_allowed
        return found


@lru_cache(maxsize=128)
def _read(files: tuple[tuple[str, bytes], ...]) -> tuple[Bundle, PlainBundle]:
    return read_bundle(dict(files)), PlainBundle(dict(files))


def seconds_of(instant: datetime) -> int:
    return int(instant.timestamp())
