"""Why an operator's act is refused: a closed set of reasons, their HTTP statuses, and how they are written."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class ActReason(StrEnum):
    """Beside these, what is wrong with a token is told by the words of gateway.errors."""

    bad_request = "bad_request"
    """The body says something that cannot be; every mistake is listed."""
    body_too_large = "body_too_large"
    subject_missing = "subject_missing"
    """The token says who may, and not who it is."""
    unknown_order = "unknown_order"
    unknown_permission = "unknown_permission"
    """No emergency permission has this id."""
    too_many_permissions = "too_many_permissions"
    """Emergency permissions that are not needed should be closed first."""
    needs_break_glass = "needs_break_glass"
    """Nobody looks at a customer's words without an emergency permission that two people gave."""
    not_permitted = "not_permitted"
    """Policy does not permit it here."""
    legal_hold = "legal_hold"
    """The words may not be erased while the hold stands."""
    unknown_session = "unknown_session"
    """Nothing is stored of it here."""
    no_transcripts = "no_transcripts"
    """This gateway stores none."""
    unknown_target = "unknown_target"
    """No such region, pool or engine."""
    same_person = "same_person"
    """An order that takes two people was to be confirmed by the one who gave it."""
    needs_second_person = "needs_second_person"
    """It waits for a second person, and can only be confirmed or withdrawn."""
    conflict = "conflict"
    """Others changed the orders at the same time, again and again."""
    too_many_orders = "too_many_orders"
    """Orders that are over should be withdrawn first."""
    store_away = "store_away"
    """Redis does not answer. What is in force stays so; an act whose answer was lost may have been done."""


STATUS = {
    ActReason.bad_request: 400,
    ActReason.body_too_large: 413,
    ActReason.subject_missing: 403,
    ActReason.unknown_order: 404,
    ActReason.unknown_target: 404,
    ActReason.unknown_permission: 404,
    ActReason.unknown_session: 404,
    ActReason.no_transcripts: 404,
    ActReason.too_many_permissions: 409,
    ActReason.needs_break_glass: 403,
    ActReason.not_permitted: 403,
    ActReason.legal_hold: 409,
    ActReason.same_person: 409,
    ActReason.needs_second_person: 409,
    ActReason.conflict: 409,
    ActReason.too_many_orders: 409,
    ActReason.store_away: 503,
}


class ActRefused(Exception):
    """An act that was not done. `detail` is a sentence for the operator; it names no token and no client.

    `mistakes`: of the body, each with its place.
    """

    def __init__(self, reason: str, detail: str, status: int, *, mistakes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status
        self.mistakes = mistakes

    def as_json(self) -> dict[str, Any]:
        error: dict[str, Any] = {"reason": self.reason, "detail": self.detail}
        if self.mistakes:
            error["mistakes"] = list(self.mistakes)
        return {"error": error}


def refused(reason: ActReason, detail: str, *, mistakes: tuple[str, ...] = ()) -> ActRefused:
    return ActRefused(reason.value, detail, STATUS[reason], mistakes=mistakes)
