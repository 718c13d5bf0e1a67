"""Bugs to plant: each makes one part of the fence give way, as a careless change might."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from policies import routing
from policies.residency.bundles.rows import DatedRow
from policies.residency.deciding import engine, table
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Decision, Question
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action, Trigger, Verdict
from policies.routing_facts import CapacityClass, RegionState, RouteDecision
from regions.session_pool import PlacedSession

Plant = Callable[[pytest.MonkeyPatch], None]

_decide = ResidencyEngine.decide
_ruled_out = routing._ruled_out
_route = routing.decide
_permitted = table._permitted


FAILING_RULE = (
    b'@id("F99-fails") @owner("proof") @basis("none") @review_by("2099-01-01") @ticket("PROOF-1")\n'
    b"forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };\n"
)
"""The schema allows it, and no question can be answered by it: Cedar leaves it out, and says so."""


def _router_ignores_the_set(patch: pytest.MonkeyPatch) -> None:
    def planted(region: Any, request: Any, weights: Any, *, is_held_out: bool) -> Any:
        wider = replace(request, permitted=request.permitted | {region.name})
        return _ruled_out(region, wider, weights, is_held_out=is_held_out)

    patch.setattr(routing, "_ruled_out", planted)


def _last_resort_leaves_the_set(patch: pytest.MonkeyPatch) -> None:
    def planted(request: Any, snapshot: Any, weights: Any) -> RouteDecision:
        decision = _route(request, snapshot, weights)
        if decision.candidates:
            return decision
        everywhere = frozenset(region.name for region in snapshot.regions)
        return _route(replace(request, permitted=everywhere), snapshot, weights)

    patch.setattr(routing, "decide", planted)


def _draining_regions_are_tried(patch: pytest.MonkeyPatch) -> None:
    def planted(region: Any, request: Any, weights: Any, *, is_held_out: bool) -> Any:
        if region.state is RegionState.draining:
            region = replace(region, state=RegionState.active)
        return _ruled_out(region, request, weights, is_held_out=is_held_out)

    patch.setattr(routing, "_ruled_out", planted)


def _router_ignores_machines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(routing, "_slots_of_permitted_classes", lambda _region, _request: 1_000)


def _relays_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    def planted(allowed: Any, names: frozenset[str], here: str) -> Permitted:
        passes = {(Action.relay, trigger, name): {CapacityClass.reserved} for trigger in Trigger for name in names}
        return _permitted({**allowed, **passes}, names, here)

    patch.setattr(table, "_permitted", planted)


def _machines_are_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(table, "_permitted", lambda *asked: replace(_permitted(*asked), classes={}))


def _what_goes_on_may_be_where_it_could_begin(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Permitted, "recognising", lambda permitted, *, goes_on: permitted.process)


def _the_table_is_never_made_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ResidencyEngine, "holds_at", lambda _engine, _now_s: True)


def _errors_are_no_matter(patch: pytest.MonkeyPatch) -> None:
    def planted(self: ResidencyEngine, question: Question) -> Decision:
        decision = _decide(self, question)
        if any("in spite of errors" in error for error in decision.errors):
            return Decision(Verdict.allow)
        return decision

    patch.setattr(ResidencyEngine, "decide", planted)


def _a_fact_is_left_out(patch: pytest.MonkeyPatch) -> None:
    write = engine._ContextWriter.write

    def planted(self: Any, question: Question, subject: frozenset[str]) -> str:
        text = write(self, question, subject)
        kind = question.situation.data_class
        return text.replace(f',"dataClass":{self._classes[kind]}', "")

    patch.setattr(engine._ContextWriter, "write", planted)


def _cedar_gets_no_schema_and_lacks_a_fact(patch: pytest.MonkeyPatch) -> None:
    _a_fact_is_left_out(patch)
    _errors_are_no_matter(patch)
    ask = engine.cedarpy.is_authorized
    patch.setattr(
        engine.cedarpy, "is_authorized", lambda request, rules, entities, _schema: ask(request, rules, entities)
    )


def _rows_never_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DatedRow, "in_force_at", lambda row, at_s: row.starts_at_s <= at_s)


def _rows_are_there_before_they_begin(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DatedRow, "in_force_at", lambda row, at_s: at_s < row.expires_at_s)


def _speakers_are_from_nowhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ResidencyEngine, "areas_of", lambda _engine, _countries: frozenset())


def _the_bundle_never_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ResidencyEngine, "_why_not_in_force", lambda _engine: "")


def _unknown_regions_are_allowed(patch: pytest.MonkeyPatch) -> None:
    def planted(self: ResidencyEngine, question: Question) -> Decision:
        if question.region not in self.regions:
            return Decision(Verdict.allow)
        return _decide(self, question)

    patch.setattr(ResidencyEngine, "decide", planted)


def _break_glass_opens_everything(patch: pytest.MonkeyPatch) -> None:
    def planted(self: ResidencyEngine, question: Question) -> Decision:
        decision = _decide(self, question)
        return Decision(Verdict.allow) if question.has_break_glass and decision.rules else decision

    patch.setattr(ResidencyEngine, "decide", planted)


def _placement_keeps_the_first_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PlacedSession, "permit", lambda _session, _permitted, **_more: None)


ROUTER_BUGS: dict[str, Plant] = {
    plant.__name__.strip("_"): plant
    for plant in (
        _router_ignores_the_set,
        _last_resort_leaves_the_set,
        _draining_regions_are_tried,
        _router_ignores_machines,
        _relays_are_not_asked,
        _machines_are_not_told,
        _what_goes_on_may_be_where_it_could_begin,
        _the_table_is_never_made_anew,
        _cedar_gets_no_schema_and_lacks_a_fact,
        _rows_never_end,
        _rows_are_there_before_they_begin,
        _speakers_are_from_nowhere,
        _the_bundle_never_ends,
        _unknown_regions_are_allowed,
        _break_glass_opens_everything,
    )
}
BUGS_WITH_A_FAILING_RULE: dict[str, Plant] = {"errors_are_no_matter": _errors_are_no_matter}
PLACEMENT_BUGS: dict[str, Plant] = {"placement_keeps_the_first_set": _placement_keeps_the_first_set}
HARMLESS_ALONE: dict[str, Plant] = {"a_fact_is_left_out": _a_fact_is_left_out}
"""Fails closed: the schema refuses a question that lacks a fact."""
