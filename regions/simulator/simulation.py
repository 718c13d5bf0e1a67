"""Puts one simulated world together and lets its time pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regions.simulator.demand import callers
from regions.simulator.events import Agenda
from regions.simulator.lending import OrgsLimits
from regions.simulator.machines import MachineRoom, Paid
from regions.simulator.provisioning import Provisioning
from regions.simulator.result import Moment
from regions.simulator.scenario import HOUR_MS
from regions.simulator.sessions import Sessions
from regions.simulator.sight import Place, Sight
from regions.simulator.spot_market import zones_of
from regions.simulator.strikes import Strikes
from regions.simulator.tally import Tally, price_permille

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.simulator.result import Result
    from regions.simulator.scenario import Fleet, Scenario


def simulate(scenario: Scenario, fleet: Fleet, *, say: Callable[[float], None] = lambda _: None) -> Result:
    """Run one fleet through the scenario.

    Args:
        say: hears now and then how much of it has passed, 0 to 1; what it raises ends the run.
    """
    world = World(scenario, fleet)
    step_ms = max(HOUR_MS // 4, scenario.ends_at_ms // 200)
    next_ms = 0
    for caller in callers(scenario):
        if caller.at_ms >= next_ms:
            say(caller.at_ms / scenario.ends_at_ms)
            next_ms = caller.at_ms + step_ms
        world.agenda.run_until(caller.at_ms)
        world.sessions.arrive(caller)
    world.agenda.run_until(scenario.ends_at_ms)
    say(1.0)
    return world.result()


class World:
    """All parts of one run."""

    def __init__(self, scenario: Scenario, fleet: Fleet) -> None:
        self.scenario = scenario
        self.fleet = fleet
        self.agenda = Agenda()
        self.tally = Tally()
        prices = price_permille(scenario.machines)
        self.places = [
            Place(
                number,
                region.name,
                MachineRoom(
                    scenario.placement.headroom, report_every_ms=scenario.report_every_ms, price_permille=prices
                ),
            )
            for number, region in enumerate(scenario.regions)
        ]
        self.sight = Sight(
            self.places,
            scenario.regions,
            scenario.placement,
            report_every_ms=scenario.report_every_ms,
        )
        self.sessions = Sessions(scenario, fleet, self.agenda, self.places, self.sight, self.tally)
        self.provisioning = Provisioning(
            scenario, fleet, self.agenda, self.places, zones_of(scenario), self.sessions, self.tally
        )
        self.strikes = Strikes(
            scenario.strikes, scenario.moving, self.agenda, self.places, self.sessions, self.provisioning
        )
        self.limits = OrgsLimits(scenario, self.agenda, self.places, self.sight, self.tally)
        if scenario.orgs:
            self.sessions.on_placed, self.sessions.on_left = self.limits.placed, self.limits.left
        self.provisioning.begin()
        self._note_moment(None)

    def result(self) -> Result:
        """To be asked for once, at the end."""
        self.sessions.stop(self.agenda.now_ms)
        self.provisioning.stop()
        return self.tally.result(self.scenario, self.fleet, lending=self.limits.lendings(), events=self.agenda.made)

    def _note_moment(self, _: object) -> None:
        slots = dict.fromkeys(Paid, 0)
        for place in self.places:
            for paid, some in place.room.slots_by_class.items():
                slots[paid] += some
        self.tally.series.append(
            Moment(
                self.agenda.now_ms,
                self.sessions.crowd.wanted,
                self.sessions.crowd.live,
                slots[Paid.reserved],
                slots[Paid.on_demand],
                slots[Paid.spot],
                *self.sessions.crowd.take_areas(self.agenda.now_ms),
            )
        )
        self.agenda.after(self.scenario.series_every_ms, self._note_moment)
