"""One session's engine pool over all regions that it may use: tries the best, then the next, and remembers.

These must stay true:
  - No stream is opened in a region that the session's policy set does not hold at that moment, and none that is outside
    of it goes on for longer than `outside_policy_ms`.
  - No engine is asked whose machine is of a class that the policy set does not permit in its region, as far as this
    gateway or the region's relay knows its class; one of which nobody knows it counts as not permitted.
  - A session that is refused in one region hears of it only if no other that it may try takes it.
  - Nothing here waits, and no event comes from inside a call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    Progress,
    RefusalReason,
    Refused,
)
from policies.order_effects import stays_because
from policies.region_health import Effect
from policies.replacement_pace import Replacement
from policies.routing_facts import Health, RegionState, RouteRequest
from policies.tier_slots import slots_tier
from regions.moving_out import OUT_OF_REGION, regions_left
from regions.placed_stream import PlacedStream
from regions.policy_exit import PolicyExit
from regions.refusals import nearer, refusal_of
from regions.session_fence import SessionFence
from regions.session_losses import SessionLosses
from regions.shedding import full_regions, promised_away

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from engines.interface import LoadReport, OpenStream, StreamEvent
    from policies.plans import Tier
    from policies.residency.permitted import Permitted
    from policies.routing_facts import CapacityClass, RouteDecision
    from regions.placement_parts import PlacementParts
    from regions.placing import SessionPlace, Shed
    from regions.region_watch import RegionWatch

_EFFECT_OF_LOSS = {
    LossReason.silent: Effect.silent,
    LossReason.slow: Effect.slow,
    LossReason.engine_failed: Effect.failed,
    LossReason.protocol_broken: Effect.protocol_broken,
}
"""The others are no fault of the region: a link that broke shows by itself, and a drain is meant."""
_SUSPECTS_REGION = frozenset({LossReason.silent, LossReason.slow, LossReason.protocol_broken})
_FOR_THE_CLIENT = frozenset({RefusalReason.bad_options})
"""Another region would say the same."""

_LOOK_FOR_SLOT_MS = 50
"""How often a session looks whether the slot is free that was promised to it."""

log = structlog.get_logger("placement")


class PlacedSession:
    """A SessionPool (regions.placing), and the EnginePool that it gives. Made by regions.placement."""

    def __init__(self, place: SessionPlace, parts: PlacementParts, on_closed: Callable[[PlacedSession], None]) -> None:
        self._place = place
        self._fence = SessionFence(place)
        self._parts = parts
        self._on_closed = on_closed
        self.began_at_ms = parts.now_ms()
        self._exit = PolicyExit(self, self._fence, within_ms=parts.rules.outside_policy_ms)
        self._losses = SessionLosses(avoided_ms=parts.rules.avoided_ms)
        self._streams: list[PlacedStream] = []
        """Those that are not over; two while a session moves."""
        self._region: str | None = None
        self.asked_to_leave = 0
        """How often it was its turn to leave a region."""
        self.stays_because = ""
        """Why it had nowhere to go when it was; empty: it had, or never had to."""
        self._decision: RouteDecision | None = None

    # --- the SessionPool ------------------------------------------------------------------------------

    def pool(self) -> PlacedSession:
        return self

    @property
    def region(self) -> str | None:
        return self._region

    @property
    def regions(self) -> frozenset[str]:
        """Of all streams that are granted; two while it moves."""
        return frozenset(
            stream.region.name for stream in self._streams if stream.is_granted and stream.region is not None
        )

    @property
    def session_id(self) -> str:
        return self._place.session_id

    @property
    def tier(self) -> Tier:
        return self._place.tier

    @property
    def permitted(self) -> frozenset[str]:
        """Where it may go on."""
        return self._fence.permitted.failover

    @property
    def classes(self) -> tuple[tuple[str, frozenset[CapacityClass]], ...]:
        """Machines that it may be on, by region, as far as not all are permitted; sorted."""
        return self._fence.restricted_classes

    @property
    def streams(self) -> Sequence[PlacedStream]:
        """Those that are not over; two while it moves."""
        return self._streams

    @property
    def decision(self) -> RouteDecision | None:
        """The last one, as it was made."""
        return self._decision

    def works_in(self) -> tuple[str, str, str] | None:
        """The region, model and version of the engine that works for it and stays where it is; None: none does."""
        for stream in self._streams:
            if stream.is_granted and stream.region is not None and not stream.is_leaving:
                return stream.region.name, *stream.model
        return None

    def end_for_other(self, shed: Shed) -> bool:
        """End it for one of a higher tier. False: it ends already, or nobody may end it so."""
        return self._place.end is not None and self._place.end(shed)

    def decide_without(self, stream: PlacedStream, region: str) -> RouteDecision:
        """Where its stream might go if it had to leave the region."""
        return self._parts.decide(self._request(_gone_on_with(stream.asked), frozenset({region})))

    def permit(self, permitted: Permitted, *, at_once: frozenset[str] = frozenset()) -> None:
        self._fence.permitted = permitted
        for stream in list(self._streams):
            self._exit.look_at(stream, at_once)

    def close(self) -> None:
        for stream in list(self._streams):
            stream.cancel()
        self._parts.unmet.closed(self._place.session_id, self._parts.now_ms())
        self._on_closed(self)

    # --- the EnginePool -------------------------------------------------------------------------------

    def loads(self) -> Sequence[LoadReport]:
        return self._parts.facts.local.loads()

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> PlacedStream:
        """Ask the best region, and the next one if it refuses. See EnginePool.open."""
        placed = PlacedStream(stream, on_event, self)
        placed.is_handover = any(other.is_granted for other in self._streams)
        placed.hold_until_ms = self._parts.now_ms() + self._parts.rules.hold_ms
        self._streams.append(placed)
        self._seek(placed)
        return placed

    # --- looking for a region -------------------------------------------------------------------------

    def _seek(self, stream: PlacedStream) -> None:
        """Decide, wait for the turn of those that go on after a loss, and ask."""
        stream.timer = None
        parts, now_ms = self._parts, self._parts.now_ms()
        decision = self._decide(stream, stream.asked, now_ms)
        if not decision.candidates and parts.facts.look_again():
            decision = self._decide(stream, stream.asked, now_ms)
        self._decision = decision
        stream.full = full_regions(decision)
        if not stream.is_handover:
            parts.note_decision(self._place.session_id, self._place.tier, stream.asked.options.model, decision)
        if decision.chosen is None:
            self._fence.found_nowhere(stream, self._streams, self._region)
            refused = refusal_of(decision, stream.asked.epoch, retry_after_ms=parts.rules.retry_after_ms)
            self._without_slot(stream, refused, now_ms)
            return
        if stream.asked.is_replay and (wait_ms := self._wait_of(decision.chosen, now_ms)) > 0:
            if now_ms + wait_ms > stream.hold_until_ms:
                self._refuse(stream, Refused(stream.asked.epoch, RefusalReason.paced, wait_ms))
                return
            parts.metrics.replacements_delayed.observe(wait_ms / 1_000)
            stream.later(wait_ms, self._seek)
            return
        parts.retries.placed(now_ms)
        parts.metrics.first_choices.inc()
        stream.remaining = iter([candidate.region for candidate in decision.candidates])
        self._ask_next(stream, now_ms)

    def _wait_of(self, region: str, now_ms: int) -> int:
        place = self._place
        return self._parts.pace.ask(now_ms, Replacement(place.session_id, region, place.tier, place.draw_permille))

    def _decide(self, stream: PlacedStream, asked: OpenStream, now_ms: int) -> RouteDecision:
        """Without the regions where this session lost engines or falls behind, unless there is no other."""
        left, slow = regions_left(stream, self._streams)
        avoided = self._losses.avoided(now_ms) | slow
        kept = self._parts.shedding.kept_from(self._place.tier, now_ms)
        left |= kept
        decision = self._parts.decide(self._request(asked, avoided | left))
        if not decision.candidates and avoided - left:
            decision = self._parts.decide(self._request(asked, left))
        return promised_away(decision, kept)

    def _request(self, asked: OpenStream, avoided: frozenset[str]) -> RouteRequest:
        options = asked.options
        return RouteRequest(
            permitted=self._fence.regions_for(asked),
            tier=slots_tier(self._place.tier, is_replay=asked.is_replay),
            model=options.model,
            model_version=options.model_version,
            language=options.language,
            current=self._region,
            avoided=avoided,
            draw_permille=self._place.draw_permille,
            goes_on=asked.is_replay,
            classes=self._fence.permitted.classes,
        )

    def _ask_next(self, stream: PlacedStream, now_ms: int) -> None:
        on_probation = None
        for name in stream.remaining:
            region = self._parts.facts.region(name)
            if region is None or not self._fence.may_ask(stream, name):
                continue  # the set may have become smaller since the decision
            if _may_try(region, now_ms):
                self._ask(stream, region, now_ms)
                return
            on_probation = on_probation or region
        if stream.refusal is not None:
            self._without_slot(stream, stream.refusal, now_ms)
        elif on_probation is not None:
            # Others are trying it, and there is nothing else: better a region that may be ill than none.
            self._ask(stream, on_probation, now_ms)
        else:
            self._refuse(
                stream, Refused(stream.asked.epoch, RefusalReason.unreachable, self._parts.rules.retry_after_ms)
            )

    def _without_slot(self, stream: PlacedStream, refused: Refused, now_ms: int) -> None:
        """No region takes it: it waits for a slot that is being freed for it, or hears so."""
        if refused.reason is RefusalReason.no_free_slot and self._must_have_slot(stream):
            request = self._request(stream.asked, frozenset())
            # The set may be smaller by now; and a slot that is freed might be on a machine that it may not have.
            full = frozenset(name for name in stream.full & request.permitted if self._fence.takes_any_machine(name))
            if self._parts.shedding.is_slot_coming(self, request, full, now_ms):
                if now_ms + _LOOK_FOR_SLOT_MS <= stream.hold_until_ms:
                    stream.later(_LOOK_FOR_SLOT_MS, self._seek)
                    return
                refused = Refused(stream.asked.epoch, RefusalReason.no_free_slot, _LOOK_FOR_SLOT_MS)
        self._refuse(stream, refused)

    def _must_have_slot(self, stream: PlacedStream) -> bool:
        """Not where its engine works and only is slow."""
        return not stream.is_handover or any(other.move_reason is not None for other in self._streams)

    def _ask(self, stream: PlacedStream, region: RegionWatch, now_ms: int) -> None:
        """The only place where a stream is opened."""
        if not self._fence.may_ask(stream, region.name):
            log.error("placement.outside_policy", session=self._place.session_id, to_region=region.name)
            region.health.turned_away(now_ms)
            self._refuse(stream, Refused(stream.asked.epoch, RefusalReason.no_permitted_region))
            return
        stream.region = region
        stream.placed_at_ms = now_ms
        stream.attempt += 1
        stream.inner = region.pool.open(self._fence.opened(stream, region.name), stream.hear)
        self._parts.facts.placed(region.name, stream.asked.options)

    # --- what engines answer ------------------------------------------------------------------------------

    def heard(self, stream: PlacedStream, event: StreamEvent) -> None:
        match event:
            case Refused():
                self._refused(stream, event)
                return
            case Granted() if stream.region is not None:
                stream.grant()
                stream.model = (event.model, event.model_version)
                self._parts.shedding.served(self._place.session_id)
                self._fence.granted(stream, self._streams, stream.region, self._region)
                self._region = stream.region.name
                self._parts.metrics.placed(stream.region.name, "granted")
                self._parts.unmet.served(self._place.session_id, is_here=stream.region.is_local)
            case Lost():
                self._note_loss(stream, event.reason)
                if not stream.is_granted:
                    refused = Refused(event.epoch, RefusalReason.unreachable, self._parts.rules.retry_after_ms)
                    self._refused(stream, refused)
                    return
                self._end(stream)
            case FinalResult():
                self._prove(stream)
                if event.reason is EndReason.finish:
                    self._end(stream)
            case Progress():
                if self._parts.now_ms() - stream.placed_at_ms >= self._parts.rules.proven_after_ms:
                    self._prove(stream)
            case MoveAway():
                if stream.move_reason in OUT_OF_REGION:
                    return  # it was told already that even less may stay
                stream.move_reason = event.reason
            case _:
                pass
        stream.on_event(event)

    def _refused(self, stream: PlacedStream, refused: Refused) -> None:
        """Ask the next region, if there is one and tries are left."""
        parts, region, now_ms = self._parts, stream.region, self._parts.now_ms()
        if region is not None:
            region.health.turned_away(now_ms)
            parts.metrics.placed(region.name, refused.reason.value)
            if refused.reason is RefusalReason.not_permitted:
                # No fault of the region's; to ask it again at once would be one of ours.
                self._losses.note(region.name, now_ms, is_suspect=True)
                session_id = self._place.session_id
                log.error("placement.not_permitted", session=session_id, to_region=region.name, why=refused.detail)
            if region.is_local and refused.reason is RefusalReason.no_free_slot and not stream.is_handover:
                parts.unmet.wanted(self._place.session_id, stream.asked.options.model)
        if stream.attempt == 1:
            parts.metrics.first_choice_refused.inc()
        if refused.reason is RefusalReason.unreachable:
            parts.facts.look_again()
        if region is not None and refused.reason is RefusalReason.no_free_slot:
            stream.full |= {region.name}
        stream.refusal = refused if stream.refusal is None else nearer(stream.refusal, refused)
        stream.inner = None
        if refused.reason not in _FOR_THE_CLIENT and parts.retries.ask(now_ms, attempt=stream.attempt) is None:
            parts.metrics.retries.inc()
            self._ask_next(stream, now_ms)
            return
        self._refuse(stream, stream.refusal)

    def _refuse(self, stream: PlacedStream, refused: Refused) -> None:
        """Tell the session, a turn of the loop later: it may be in the middle of `open`."""
        asyncio.get_running_loop().call_soon(self.tell_end, stream, refused)

    def tell_end(self, stream: PlacedStream, event: Refused | Lost) -> None:
        if not stream.is_over:
            self._end(stream)
            stream.on_event(event)

    # --- what becomes of streams ----------------------------------------------------------------------------

    def given_up(self, stream: PlacedStream, reason: LossReason | None) -> None:
        """The stream is cancelled already."""
        self._forget(stream)
        if stream.asked.is_replay and not stream.is_granted:
            self._parts.pace.gave_up(self._place.session_id)
        region = stream.region
        if region is None or stream.inner is None:
            return
        if not stream.is_granted:
            self._parts.metrics.placed(region.name, "cancelled")
        if reason is not None:
            self._note_loss(stream, reason)
        elif not stream.is_proven:
            region.health.turned_away(self._parts.now_ms())

    def _note_loss(self, stream: PlacedStream, reason: LossReason) -> None:
        """Whom it counts against. A region that has other engines is not to blame for one of them."""
        region, now_ms = stream.region, self._parts.now_ms()
        if region is None:
            return
        if reason in (LossReason.link_lost, LossReason.silent):
            self._parts.facts.look_again()
        # A slow engine takes streams and so counts as healthy itself.
        others = region.healthy_replicas - (1 if reason is LossReason.slow else 0)
        is_region = not (region.is_local and others > 0)
        if reason is not LossReason.drained:
            self._losses.note(region.name, now_ms, is_suspect=is_region and reason in _SUSPECTS_REGION)
        effect = _EFFECT_OF_LOSS.get(reason)
        if effect is not None:
            self._tell_health(stream, region, effect)
        elif not stream.is_proven:
            region.health.turned_away(now_ms)
        stream.is_proven = True

    def _prove(self, stream: PlacedStream) -> None:
        region = stream.region
        if stream.is_proven or region is None:
            return
        stream.is_proven = True
        self._losses.proven(region.name)
        self._tell_health(stream, region, Effect.well)

    def _tell_health(self, stream: PlacedStream, region: RegionWatch, effect: Effect) -> None:
        region.health.session_ended(
            self._parts.now_ms(), effect, placed_at_ms=stream.placed_at_ms, standing=region.open_streams
        )

    def has_other(self, stream: PlacedStream) -> bool:
        return bool(self._decide(stream, _gone_on_with(stream.asked), self._parts.now_ms()).candidates)

    def ask_anew(self, stream: PlacedStream) -> None:
        """Take a question back that was not answered; the stream goes on."""
        if stream.inner is not None:
            stream.inner.cancel()
            stream.inner = None
        if stream.region is not None:
            stream.region.health.turned_away(self._parts.now_ms())
            stream.region = None
        stream.remaining = iter(())
        stream.later(0, self._seek)

    # --- moving out of a region ---------------------------------------------------------------------------------

    def leave(self, leaving: Collection[RegionWatch], *, is_its_turn: bool = False) -> None:
        """Regions are drained, disabled or gone: each stream there moves when its turn comes, spread by its draw.

        `is_its_turn`: somebody else counts the turns.
        """
        spread_ms = 0 if is_its_turn else self._parts.rules.drain_spread_ms
        for stream in self._streams:
            if stream.is_granted and not stream.is_told_to_move and stream.region in leaving:
                stream.is_told_to_move = True
                self.asked_to_leave += 1
                stream.later(spread_ms * self._place.draw_permille // 1_000, self._move_out)

    def waits_to_leave(self, region: RegionWatch) -> bool:
        """Whether a stream of its own is there that was not told to go."""
        return any(
            stream.is_granted and not stream.is_told_to_move and stream.region is region for stream in self._streams
        )

    def _move_out(self, stream: PlacedStream) -> None:
        """Only where there is another place; else it is asked again when regions are looked at the next time."""
        stream.timer = None
        region = stream.region
        if region is None or not self._parts.facts.is_leaving(region):
            stream.is_told_to_move = stream.was_told_to_leave = False
            stream.move_reason = None
            return
        was_told = stream.move_reason is MoveReason.region_draining
        others = self.decide_without(stream, region.name)
        self.stays_because = "" if others.candidates else stays_because(others, leaving=region.name)
        if not others.candidates:
            stream.is_told_to_move = False
            if region.wish.state is RegionState.disabled:
                self._hand_back(stream)  # by order nothing may stay: it looks for a place as long as sessions do
            return
        if stream.was_told_to_leave and self._parts.facts.is_over(region):
            self._hand_back(stream)
            return
        stream.move_reason = MoveReason.region_draining
        within_ms = self._parts.rules.move_within_ms
        stream.later(within_ms, self._move_out)
        if was_told and not stream.was_told_to_leave:
            stream.was_told_to_leave = True  # by its link, a moment ago
            return
        stream.was_told_to_leave = True
        stream.on_event(MoveAway(stream.asked.epoch, MoveReason.region_draining, within_ms))

    def _hand_back(self, stream: PlacedStream) -> None:
        """Its time to move is over: the session has it replayed elsewhere."""
        if stream.inner is not None:
            stream.inner.cancel()
        self.tell_end(stream, Lost(stream.asked.epoch, LossReason.drained))

    # --- parts -----------------------------------------------------------------------------------------------

    def _end(self, stream: PlacedStream) -> None:
        stream.end()
        self._forget(stream)

    def _forget(self, stream: PlacedStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)


def _gone_on_with(asked: OpenStream) -> OpenStream:
    """As it will be asked for elsewhere, once an engine has worked for it."""
    return asked if asked.is_replay else msgspec.structs.replace(asked, is_replay=True)


def _may_try(region: RegionWatch, now_ms: int) -> bool:
    """One that is tripped stands on the list as a last resort; one that is probing takes a few at a time."""
    return region.health.state(now_ms) is Health.tripped or region.health.begin(now_ms)
