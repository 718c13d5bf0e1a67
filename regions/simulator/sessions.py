"""The life of every session: called, placed, moved ahead of a machine's end, lost and placed again, over.

Where a session goes is the business of regions.simulator.placing; how often and how long it looks for an engine is
policies.failover. Simulated are the times in between, by `Moving`.

A session ends in one way: finished, lost or refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.drawing import unit_draw
from policies.failover import give_up, retry_delay_ms
from policies.plans import Tier
from regions.simulator.placing import SHEDDING, Found, Placing, Wait
from regions.simulator.session import Loss, Session, Turn
from regions.simulator.tally import Crowd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from regions.simulator.demand import Caller
    from regions.simulator.events import Agenda
    from regions.simulator.machines import Engine
    from regions.simulator.scenario import Fleet, Moving, Scenario
    from regions.simulator.sight import Place, Sight
    from regions.simulator.tally import Tally

_PERMILLE = 1_000
_MOVE_BURST = 20
_MOVES_PER_S = 40
"""As regions.links.settings has them: how fast sessions are told to move."""
_WORD_SALT, _BEAT_SALT, _BACKLOG_SALT, _CLIENT_SALT = 11, 12, 13, 14


class Sessions:
    """All of one run. `on_placed` and `on_left` hear of each stream that begins and ends."""

    def __init__(
        self,
        scenario: Scenario,
        fleet: Fleet,
        agenda: Agenda,
        places: Sequence[Place],
        sight: Sight,
        tally: Tally,
    ) -> None:
        self._moving: Moving = scenario.moving
        self._traffic = scenario.traffic
        self._fleet = fleet
        self._agenda = agenda
        self._places = places
        self._sight = sight
        self._tally = tally
        self._rules = scenario.placement
        everywhere = frozenset(region.name for region in scenario.regions)
        self._profiles = {**scenario.profiles, "": scenario.profiles.get("", everywhere)}
        self._placing = Placing(agenda, places, sight, scenario.placement, tally, overflows=fleet.overflows)
        self._going_on: dict[Session, None] = {}
        self._fronted: list[dict[Session, None]] = [{} for _ in places]
        self.unmet: list[dict[Session, None]] = [{} for _ in places]
        """By the region that they call at: those without an engine, or with one elsewhere for want of a slot here."""
        self.crowd = Crowd()
        self.on_placed: Callable[[Session], None] = lambda _: None
        self.on_left: Callable[[Session], None] = lambda _: None

    # --- calls ------------------------------------------------------------------------------------------

    def arrive(self, caller: Caller) -> None:
        """A caller begins to speak."""
        self._tally.count("offered")
        session = Session(caller, self._profiles[caller.profile], caller.at_ms + caller.speech_ms)
        self.crowd.change(self._agenda.now_ms, wanted=1)
        self._going_on[session] = None
        self._agenda.at(session.ends_at_ms, self._end, session)
        self._call(session)

    def _call(self, session: Session) -> None:
        """The client calls the nearest gateway that it may use, for the first time or once more."""
        session.tries += 1
        session.attempt = 0
        session.has_lost = False
        if not self._find_front(session):
            self._refused(session)
            return
        self._want(session)
        if not self._place(session, is_replay=False):
            self._refused(session)

    def _refused(self, session: Session) -> None:
        self._tally.count("calls_refused")
        if session.front >= 0 and session.caller.tier is not Tier.premium:
            self._tally.counts["calls_shed"] += self._placing.has_room_for_premium(session)
        if session.tries >= self._traffic.tries:
            self._give_up(session)
            return
        ceiling_ms = min(self._traffic.max_retry_ms, self._traffic.first_retry_ms << min(max(0, session.tries - 1), 16))
        draw = unit_draw(session.caller.draw + session.tries, _CLIENT_SALT)
        self._turn_after(ceiling_ms // 2 + int(ceiling_ms * draw / 2), session, self._call_again)

    def _call_again(self, turn: Turn) -> None:
        if self._is_due(turn):
            self._call(turn.session)

    def _find_front(self, session: Session) -> bool:
        """Have a gateway that runs: the one that it has, or the nearest one within its policy set."""
        if session.front >= 0:
            if self._places[session.front].is_up:
                return True
            self._leave_front(session)
        home = session.caller.home
        for number in self._sight.nearest_first(home, session.permitted):
            if self._places[number].is_up:
                session.front = number
                self._fronted[number][session] = None
                return True
        return False

    def _leave_front(self, session: Session) -> None:
        if session.front < 0:
            return
        self._fronted[session.front].pop(session, None)
        self.unmet[session.front].pop(session, None)
        session.front = -1

    # --- placing ----------------------------------------------------------------------------------------

    def _place(self, session: Session, *, is_replay: bool) -> bool:
        """Whether it has an engine, or a turn to wait for."""
        match self._placing.find(session, is_replay=is_replay):
            case Found(place, engine):
                self._granted(session, place, engine)
                return True
            case Wait(wait_ms):
                self._turn_after(wait_ms, session, self._seek if session.engine is None else self._move_ahead)
                return True
            case None:
                victim = self._placing.victim_for(session, self._fronted[session.front])
                if victim is not None:
                    self._turn_after(SHEDDING.grace_ms, victim, self._shed)
                return False

    def _shed(self, turn: Turn) -> None:
        """It ends so that another one can go on; its client calls again when it was told to."""
        session = turn.session
        if not self._is_due(turn) or session.engine is None:
            return
        self._tally.count("shed")
        self._release(session)
        session.lost_at_ms = session.words_at_ms = self._agenda.now_ms
        session.tries = 0
        self._want(session)
        self._turn_after(self._placing.shed(session), session, self._call_again)

    def _granted(self, session: Session, place: Place, engine: Engine) -> None:
        now_ms, front = self._agenda.now_ms, session.front
        is_move = session.engine is not None
        if is_move:
            self._release(session)
        place.room.open(session, engine, now_ms)
        session.place, session.engine = place, engine
        session.placed_at_ms = now_ms
        session.seeking += 1
        if place.number == front or not session.found_it_full:
            self.unmet[front].pop(session, None)
        self.crowd.change(now_ms, live=1)
        if place.name not in session.permitted:
            self._tally.count("outside_policy")
        if place.number != session.caller.home:
            self._tally.count("overflowed")
        if not is_move:
            self._note_wait(session, place)
        session.was_served = True
        session.tries = session.attempt = 0
        session.has_lost = False
        self._placing.served(session)
        self.on_placed(session)
        if place.is_silent:
            self._turn_after(self._moving.liveness_ms, session, self._hear_nothing)
        elif self._placing.is_watched(session, place):
            self._turn_after(self._rules.proven_after_ms, session, self._prove)

    def _note_wait(self, session: Session, place: Place) -> None:
        """How long no engine heard it: nothing, for one that was taken at its first call."""
        moving, now_ms = self._moving, self._agenda.now_ms
        granted_at_ms = now_ms + moving.open_ms + round(self._sight.rtt_ms[session.front][place.number])
        if not session.was_served:
            if session.tries > 1:
                session.unserved_ms += min(granted_at_ms, session.ends_at_ms) - session.lost_at_ms
            return
        words_due_ms = session.words_at_ms + moving.word_every_ms
        heard_at_ms = granted_at_ms + moving.first_words_ms
        if session.has_lost:
            backlog_ms = moving.max_backlog_ms * unit_draw(session.caller.draw + now_ms, _BACKLOG_SALT)
            backlog_ms += now_ms - session.lost_at_ms
            heard_at_ms += int(backlog_ms * _PERMILLE / moving.replay_speed_permille)
        self._tally.pauses_ms.append(max(0, heard_at_ms - words_due_ms))
        session.unserved_ms += max(0, min(heard_at_ms, session.ends_at_ms) - session.lost_at_ms)

    # --- moves ahead of a machine's end -----------------------------------------------------------------

    def told_to_move(self, engine: Engine) -> None:
        """A machine will go: its sessions move at the pace at which they are told, where their fleet moves sessions."""
        if not self._fleet.has_continuity:
            return
        for position, session in enumerate(engine.sessions):
            wait_ms = max(0, position - _MOVE_BURST) * 1_000 // _MOVES_PER_S
            self._turn_after(wait_ms, session, self._move_ahead)

    def _move_ahead(self, turn: Turn) -> None:
        session = turn.session
        if not self._is_due(turn) or session.engine is None or not session.engine.is_leaving:
            return
        before = session.engine
        if not self._places[session.front].is_up:
            return
        moved = self._place(session, is_replay=True)
        if session.engine is not before:
            self._tally.count("moved_ahead")
        elif not moved:
            session.attempt += 1
            self._turn_after(self._retry_ms(session), session, self._move_ahead)

    # --- losses -----------------------------------------------------------------------------------------

    def lost(self, sessions: Sequence[Session], place: Place, loss: Loss, *, seen_after_ms: int = 0) -> None:
        """Their engine is dead; they are no more on it. They hear of it when a connection breaks, or after the time."""
        now_ms, moving = self._agenda.now_ms, self._moving
        for session in sessions:
            self._tally.count("displaced")
            self._unplace(session)
            session.words_at_ms = now_ms - int(moving.word_every_ms * self._draw(session, _WORD_SALT))
            session.lost_at_ms = now_ms
            self._want(session)
            if loss is Loss.reset:
                seen_after_ms = moving.reset_ms + round(self._sight.rtt_ms[session.front][place.number] / 2)
            self._turn_after(seen_after_ms, session, self._see_loss)
            if loss is Loss.silent:
                self._placing.heard_nothing(session, place)

    def _see_loss(self, turn: Turn) -> None:
        session = turn.session
        if not self._is_due(turn):
            return
        if session.front >= 0 and self._places[session.front].is_up and self._fleet.has_continuity:
            session.has_lost = True
            session.attempt = 0
            if not self._seek_now(session):
                self._tally.count("displaced_without_slot")
            return
        self._reconnect(session)

    def _reconnect(self, session: Session) -> None:
        """Nobody moves it: its client calls again."""
        self._tally.count("reconnected")
        self._turn_after(self._moving.reconnect_ms, session, self._resume)

    def _resume(self, turn: Turn) -> None:
        """With what its gateway held, where the fleet has continuity: then it takes part in the pace."""
        session = turn.session
        if not self._is_due(turn):
            return
        can_resume = self._fleet.has_continuity and session.was_served
        if not can_resume or not self._find_front(session):
            self._call(session)
            return
        session.has_lost = True
        session.attempt = 0
        self._want(session)
        if not self._seek_now(session):
            self._tally.count("displaced_without_slot")

    def _seek(self, turn: Turn) -> None:
        if self._is_due(turn):
            self._seek_now(turn.session)

    def _seek_now(self, session: Session) -> bool:
        """Look for an engine after a loss; whether there was one, or at least a turn to wait for."""
        recovery = self._moving.recovery
        without_ms = self._agenda.now_ms - session.lost_at_ms
        if give_up(without_engine_ms=without_ms, losses=0, limits=recovery) is not None:
            session.tries = 0
            self._refused(session)
            return False
        if not self._places[session.front].is_up:
            self._reconnect(session)
            return False
        if self._place(session, is_replay=True):
            return True
        session.attempt += 1
        self._turn_after(self._retry_ms(session), session, self._seek)
        return False

    def front_lost(self, number: int, *, is_dark: bool) -> None:
        """The gateways of a region are gone: their clients call elsewhere, and what they had on engines ends."""
        seen_ms = self._moving.link_liveness_ms if is_dark else self._moving.reset_ms
        now_ms = self._agenda.now_ms
        for session in list(self._fronted[number]):
            if session.engine is not None:
                self._release(session)
                session.words_at_ms = now_ms - int(self._moving.word_every_ms * self._draw(session, _WORD_SALT))
                session.lost_at_ms = now_ms
            self._leave_front(session)
            session.seeking += 1
            self._tally.count("reconnected")
            self._turn_after(seen_ms + self._moving.reconnect_ms, session, self._resume)
        self._placing.gateways_lost(number)

    # --- regions that do no good ------------------------------------------------------------------------

    def went_silent(self, place: Place) -> None:
        """Its engines answer nothing from now on: each stream finds out by itself."""
        for engine in place.room.engines.values():
            for session in engine.sessions:
                since_ms = int(self._moving.word_every_ms * self._draw(session, _BEAT_SALT))
                self._turn_after(self._moving.liveness_ms - since_ms, session, self._hear_nothing)

    def _hear_nothing(self, turn: Turn) -> None:
        session, place = turn.session, turn.session.place
        if not self._is_due(turn) or session.engine is None or place is None or not place.is_silent:
            return
        waited_ms = self._agenda.now_ms - max(session.placed_at_ms, self._agenda.now_ms - self._moving.liveness_ms)
        place.room.close(session, session.engine, self._agenda.now_ms)
        self.lost([session], place, Loss.silent)
        session.lost_at_ms -= waited_ms
        session.words_at_ms -= waited_ms

    def _prove(self, turn: Turn) -> None:
        if self._is_due(turn) and turn.session.place is not None and not turn.session.place.is_silent:
            self._placing.went_well(turn.session, turn.session.place)

    # --- ends -------------------------------------------------------------------------------------------

    def _end(self, session: Session) -> None:
        """It has said all. Whoever has no engine at that moment is not waited for."""
        if session.is_over:
            return
        if session.engine is None:
            self._give_up(session)
            return
        self._tally.count("finished")
        self._release(session)
        self._close(session, at_ms=session.ends_at_ms)

    def _give_up(self, session: Session) -> None:
        self._tally.count("lost" if session.was_served else "refused")
        session.unserved_ms += session.ends_at_ms - session.lost_at_ms
        self._close(session, at_ms=session.ends_at_ms)

    def stop(self, at_ms: int) -> None:
        """The scenario ends: what goes on is counted until now."""
        for session in list(self._going_on):
            self._tally.count("unfinished")
            if session.engine is None:
                session.unserved_ms += max(0, at_ms - session.lost_at_ms)
            self._close(session, at_ms=at_ms)

    def _close(self, session: Session, *, at_ms: int) -> None:
        session.is_over = True
        self.crowd.change(self._agenda.now_ms, wanted=-1)
        del self._going_on[session]
        if session.front >= 0:
            self._placing.gone(session)
        self._leave_front(session)
        offered_ms = at_ms - session.caller.at_ms
        self._tally.over(session.caller, offered_ms=offered_ms, unserved_ms=min(session.unserved_ms, offered_ms))

    # --- parts ------------------------------------------------------------------------------------------

    def _release(self, session: Session) -> None:
        """Its slot is free again."""
        if session.engine is not None and session.place is not None:
            session.place.room.close(session, session.engine, self._agenda.now_ms)
            self._unplace(session)

    def _unplace(self, session: Session) -> None:
        self.on_left(session)
        session.engine = None
        session.seeking += 1
        self.crowd.change(self._agenda.now_ms, live=-1)

    def _want(self, session: Session) -> None:
        if session.front >= 0:
            self.unmet[session.front][session] = None

    def _turn_after(self, wait_ms: int, session: Session, do: Callable[[Turn], None]) -> None:
        self._agenda.after(wait_ms, do, Turn(session, session.seeking))

    def _is_due(self, turn: Turn) -> bool:
        return not turn.session.is_over and turn.seeking == turn.session.seeking

    def _retry_ms(self, session: Session) -> int:
        jitter = session.caller.draw % _PERMILLE
        return retry_delay_ms(session.attempt, jitter_permille=jitter, limits=self._moving.recovery)

    def _draw(self, session: Session, salt: int) -> float:
        return unit_draw(session.caller.draw + self._agenda.now_ms, salt)
