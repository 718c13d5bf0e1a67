"""A reason as the client hears it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import TABLE, AddressRefused, QuotaRefused, WrongRegion
from gateway.wire.messages import ErrorMessage

if TYPE_CHECKING:
    from gateway.errors import Reason, SessionRefused


def error_message(
    reason: Reason,
    detail: str = "",
    retry_after_ms: int | None = None,
    level: str | None = None,
    gateways: tuple[str, ...] = (),
) -> ErrorMessage:
    """The `error` for a reason; what is not given comes from the table."""
    row = TABLE[reason]
    return ErrorMessage(
        reason=reason.value,
        message=detail or row.meaning,
        retryable=row.retryable,
        retry_after_ms=row.retry_after_ms if retry_after_ms is None else retry_after_ms,
        level=level,
        gateways=gateways,
    )


def error_of(refusal: SessionRefused) -> ErrorMessage:
    return error_message(
        refusal.reason, refusal.detail, refusal.retry_after_ms, level_of(refusal), gateways_of(refusal)
    )


def gateways_of(refusal: SessionRefused) -> tuple[str, ...]:
    """Where the client may go instead, nearest first."""
    return refusal.gateways if isinstance(refusal, WrongRegion) else ()


def level_of(refusal: SessionRefused) -> str | None:
    """Whose limit refused, where one did."""
    match refusal:
        case QuotaRefused():
            return refusal.level.value
        case AddressRefused():
            return "address"
        case _:
            return None
