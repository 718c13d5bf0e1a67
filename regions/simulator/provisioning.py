"""Starts and gives back machines as the fleet wants, and takes spot machines away as the market does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from regions.simulator.demand import rate_factor, sessions_at_peak
from regions.simulator.fleets import Seen, planner_of
from regions.simulator.machines import Paid
from regions.simulator.session import Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regions.simulator.events import Agenda
    from regions.simulator.machines import Engine
    from regions.simulator.scenario import Fleet, Scenario
    from regions.simulator.sessions import Sessions
    from regions.simulator.sight import Place
    from regions.simulator.spot_market import Zone
    from regions.simulator.tally import Tally

_MS_PER_S = 1_000


class Provisioning:
    """Of one run, for all regions. `begin` first."""

    def __init__(
        self,
        scenario: Scenario,
        fleet: Fleet,
        agenda: Agenda,
        places: Sequence[Place],
        zones: Sequence[Sequence[Zone]],
        sessions: Sessions,
        tally: Tally,
    ) -> None:
        self._scenario = scenario
        self._fleet = fleet
        self._machines = scenario.machines
        self._market = scenario.spot
        self._agenda = agenda
        self._places = places
        self._zones = zones
        self._sessions = sessions
        self._tally = tally
        self._planners = [
            planner_of(fleet, scenario.machines, peak_sessions=sessions_at_peak(scenario, region))
            for region in scenario.regions
        ]
        self._fates: dict[Engine, tuple[bool, float]] = {}
        """Of spot machines: whether they are told before they go, and where in a storm they go."""
        self._lost_zones: set[tuple[int, int]] = set()
        self._storms_until_ms = [0] * len(places)

    def begin(self) -> None:
        """All machines that are wanted at first are ready; from then on they are looked at steadily."""
        for place, planner, region in zip(self._places, self._planners, self._scenario.regions, strict=True):
            factor = rate_factor(self._scenario.traffic, utc_offset_hours=region.utc_offset_hours, at_ms=0)
            wanted = planner.at_first(sessions_at_peak(self._scenario, region) * factor)
            for (paid, zone), engines in wanted.items():
                for _ in range(engines):
                    self._start(place, paid, zone, start_ms=0)
        for market_zone in (zone for zones in self._zones for zone in zones):
            for shortage in market_zone.shortages:
                self._agenda.at(shortage.at_ms, self._storm, market_zone)
        self._agenda.after(self._every_ms, self._look)

    @property
    def _every_ms(self) -> int:
        return round(self._machines.scale_every_s * _MS_PER_S)

    # --- what the fleet wants -----------------------------------------------------------------------------

    def _look(self, _: object) -> None:
        for place in self._places:
            if place.is_up:
                self._follow(place)
        self._agenda.after(self._every_ms, self._look)

    def _follow(self, place: Place) -> None:
        slots: Counter[tuple[Paid, int]] = Counter()
        there: dict[tuple[Paid, int], list[Engine]] = {}
        for engine in list(place.room.engines.values()):
            if engine.is_leaving:
                if not engine.sessions and engine not in self._fates:
                    self._give_back(place, engine)
                continue
            there.setdefault((engine.paid, engine.zone), []).append(engine)
            slots[engine.paid, engine.zone] += engine.slots if engine.is_ready else 0
        short = frozenset(zone.number for zone in self._zones[place.number] if self._is_short(zone))
        seen = Seen(self._agenda.now_ms, slots, place.room.slots_used, len(self._sessions.unmet[place.number]), short)
        wanted = self._planners[place.number].wants(seen)
        for (paid, zone), engines in wanted.items():
            have = there.pop((paid, zone), [])
            for _ in range(engines - len(have)):
                self._start(place, paid, zone, start_ms=round(self._machines.start_s * _MS_PER_S))
            self._retire(place, have, len(have) - engines)
        for have in there.values():
            self._retire(place, have, len(have))

    def _retire(self, place: Place, engines: Sequence[Engine], how_many: int) -> None:
        """Those with the fewest sessions; those that still start first of all."""
        if how_many <= 0:
            return
        for engine in sorted(engines, key=lambda each: (each.is_ready, each.used, -each.order))[:how_many]:
            self._fates.pop(engine, None)
            place.room.leave(engine, self._agenda.now_ms)
            self._sessions.told_to_move(engine)
            if not engine.sessions:
                self._give_back(place, engine)

    def _give_back(self, place: Place, engine: Engine) -> None:
        place.room.remove(engine, self._agenda.now_ms)
        self._pay(engine)

    # --- machines -----------------------------------------------------------------------------------------

    def _start(self, place: Place, paid: Paid, zone: int, *, start_ms: int) -> None:
        now_ms = self._agenda.now_ms
        market_zone = self._zones[place.number][zone]
        if (place.number, zone) in self._lost_zones or (paid is Paid.spot and self._is_short(market_zone)):
            return
        engine = place.room.start(paid, zone, self._machines.slots, now_ms=now_ms)
        if paid is Paid.spot:
            life_ms, is_told, turn = market_zone.next_machine()
            self._fates[engine] = is_told, turn
            self._agenda.after(life_ms, self._reclaim, (place, engine))
        if start_ms:
            self._agenda.after(start_ms, self._ready, (place, engine))
        else:
            place.room.ready(engine, now_ms)

    def _ready(self, of: tuple[Place, Engine]) -> None:
        place, engine = of
        if not engine.is_gone and not engine.is_leaving:
            place.room.ready(engine, self._agenda.now_ms)

    def _pay(self, engine: Engine) -> None:
        self._tally.engine_ms[engine.paid] += self._agenda.now_ms - engine.started_at_ms

    def stop(self) -> None:
        """The scenario ends: machines that run are paid until now."""
        for place in self._places:
            for engine in place.room.engines.values():
                self._pay(engine)

    # --- what the market takes ----------------------------------------------------------------------------

    def _is_short(self, zone: Zone) -> bool:
        now_ms = self._agenda.now_ms
        return zone.is_short(now_ms) or now_ms < self._storms_until_ms[zone.region]

    def storm_region(self, place: Place, until_ms: int) -> None:
        """All spot machines of a region go, and none are to be had until then."""
        self._storms_until_ms[place.number] = until_ms
        for zone in self._zones[place.number]:
            self._storm(zone)

    def _storm(self, zone: Zone) -> None:
        place = self._places[zone.region]
        for engine in place.room.engines.values():
            if engine.paid is Paid.spot and engine.zone == zone.number and engine in self._fates:
                _, turn = self._fates[engine]
                self._agenda.after(int(turn * self._market.storm_s * _MS_PER_S), self._reclaim, (place, engine))

    def _reclaim(self, of: tuple[Place, Engine]) -> None:
        """It is told that it goes, or goes at once."""
        place, engine = of
        if engine.is_gone or engine.is_leaving:
            return
        is_told, _ = self._fates[engine]
        if not is_told:
            self._take(of)
            return
        place.room.leave(engine, self._agenda.now_ms)
        self._sessions.told_to_move(engine)
        self._agenda.after(round(self._market.notice_s * _MS_PER_S), self._take, of)

    def _take(self, of: tuple[Place, Engine]) -> None:
        place, engine = of
        if engine.is_gone:
            return
        lost = place.room.remove(engine, self._agenda.now_ms)
        self._fates.pop(engine, None)
        self._pay(engine)
        self._sessions.lost(lost, place, Loss.reset)

    # --- what breaks --------------------------------------------------------------------------------------

    def kill(self, place: Place, zone: int | None, *, seen_after_ms: int | None) -> None:
        """All engines of a region, or of one zone, are dead at once. `seen_after_ms`: nobody is told; None: all are."""
        for engine in list(place.room.engines.values()):
            if zone is not None and engine.zone != zone:
                continue
            lost = place.room.remove(engine, self._agenda.now_ms)
            self._fates.pop(engine, None)
            self._pay(engine)
            if seen_after_ms is None:
                self._sessions.lost(lost, place, Loss.reset)
            else:
                self._sessions.lost(lost, place, Loss.dark, seen_after_ms=seen_after_ms)

    def close_zone(self, place: Place, zone: int, *, is_closed: bool) -> None:
        if is_closed:
            self._lost_zones.add((place.number, zone))
        else:
            self._lost_zones.discard((place.number, zone))
