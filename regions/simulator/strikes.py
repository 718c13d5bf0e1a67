"""What breaks on purpose in the simulated world, and how it is whole again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.drawing import unit_draw
from regions.simulator.scenario import StrikeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regions.simulator.events import Agenda
    from regions.simulator.provisioning import Provisioning
    from regions.simulator.scenario import Moving, Strike
    from regions.simulator.sessions import Sessions
    from regions.simulator.sight import Place

_BEAT_SALT = 21


class Strikes:
    """Of one run. A strike on `*` is one on each region."""

    def __init__(
        self,
        strikes: Sequence[Strike],
        moving: Moving,
        agenda: Agenda,
        places: Sequence[Place],
        sessions: Sessions,
        provisioning: Provisioning,
    ) -> None:
        self._moving = moving
        self._agenda = agenda
        self._sessions = sessions
        self._provisioning = provisioning
        for strike in strikes:
            for place in places:
                if strike.region in ("*", place.name):
                    agenda.at(strike.at_ms, self._strike, (strike, place))
                    agenda.at(strike.at_ms + strike.for_ms, self._mend, (strike, place))

    def _strike(self, of: tuple[Strike, Place]) -> None:
        strike, place = of
        now_ms = self._agenda.now_ms
        match strike.kind:
            case StrikeKind.lose_region:
                place.is_up = False
                self._sessions.front_lost(place.number, is_dark=False)
                self._provisioning.kill(place, None, seen_after_ms=None)
            case StrikeKind.darken_region:
                seen_after_ms = self._until_seen_ms(place)
                place.last_told = place.room.look(now_ms)
                place.seen_down_at_ms = now_ms + seen_after_ms
                place.is_up = False
                self._sessions.front_lost(place.number, is_dark=True)
                self._provisioning.kill(place, None, seen_after_ms=seen_after_ms)
            case StrikeKind.silence_region:
                place.is_silent = True
                self._sessions.went_silent(place)
            case StrikeKind.lose_zone:
                self._provisioning.close_zone(place, strike.zone, is_closed=True)
                self._provisioning.kill(place, strike.zone, seen_after_ms=None)
            case StrikeKind.spot_storm:
                self._provisioning.storm_region(place, now_ms + strike.for_ms)

    def _mend(self, of: tuple[Strike, Place]) -> None:
        strike, place = of
        match strike.kind:
            case StrikeKind.lose_region | StrikeKind.darken_region:
                place.is_up = True
                place.last_told = None
            case StrikeKind.silence_region:
                place.is_silent = False
            case StrikeKind.lose_zone:
                self._provisioning.close_zone(place, strike.zone, is_closed=False)
            case StrikeKind.spot_storm:
                pass

    def _until_seen_ms(self, place: Place) -> int:
        """The last report of a link came up to a heartbeat before it went dark."""
        beat = unit_draw(place.number * 1_000_003 + self._agenda.now_ms, _BEAT_SALT)
        return self._moving.link_liveness_ms - int(self._moving.heartbeat_ms * beat)
