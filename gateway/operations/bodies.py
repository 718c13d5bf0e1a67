"""What an operator's request says, read strictly: every mistake is told at once."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationError, model_validator

from gateway.admission.strict_json import NotStrictJson, loads
from gateway.operations.refusals import ActReason, refused
from policies.orders import OrderKind, Scope

MAX_BODY_BYTES = 16_384
MAX_REASON_CHARS = 500
MAX_WITHIN_MS = 86_400_000
MAX_PACE_PER_S = 10_000
_MAX_NAME_CHARS = 512


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable, on one line")
    return text


Name = Annotated[str, StringConstraints(max_length=_MAX_NAME_CHARS), AfterValidator(_printable)]
Why = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_REASON_CHARS), AfterValidator(_printable)]
_Body = TypeVar("_Body", bound=BaseModel)


class OrderBody(BaseModel, frozen=True, extra="forbid"):
    """`POST /v1/orders`. `region`: empty for the gateway's own."""

    scope: Scope
    region: Name = ""
    name: Name = ""
    kind: OrderKind
    reason: Why = ""
    pace_per_s: int = Field(default=0, strict=True, ge=0, le=MAX_PACE_PER_S)
    within_ms: int = Field(default=60_000, strict=True, ge=1_000, le=MAX_WITHIN_MS)
    with_clients: bool = Field(default=False, strict=True)
    dry_run: bool = Field(default=False, strict=True)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = []
        if not self.reason and not self.dry_run:
            mistakes.append("reason: why? It is kept with the order and in the audit log")
        if self.scope is Scope.region and self.name:
            mistakes.append("name: a region is named by `region`")
        if self.scope is not Scope.region and not self.name:
            mistakes.append(f"name: which {self.scope.value}?")
        if self.with_clients and self.scope is not Scope.region:
            mistakes.append(
                f"with_clients: only clients of a region can be sent away, not those of a {self.scope.value}"
            )
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


class ActBody(BaseModel, frozen=True, extra="forbid"):
    """What is done to an order that is there. `reason` may be left out: the way back should be short."""

    reason: Why = ""


def read_body(kind: type[_Body], raw: bytes) -> _Body:
    """An empty body is an empty object. Raises ActRefused with every mistake."""
    try:
        tree: Any = loads(raw) if raw.strip() else {}
    except NotStrictJson as error:
        raise _bad(kind, (str(error),)) from None
    if not isinstance(tree, dict):
        raise _bad(kind, ("the body must be a JSON object",))
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)
        raise _bad(kind, tuple(_mistake(".".join(map(str, one["loc"])), one["msg"]) for one in said)) from None


def _mistake(place: str, text: str) -> str:
    said = text.removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def _bad(kind: type[BaseModel], mistakes: tuple[str, ...]) -> Exception:
    members = ", ".join(kind.model_fields)
    return refused(ActReason.bad_request, f"{'; '.join(mistakes)} (members: {members})", mistakes=mistakes)
