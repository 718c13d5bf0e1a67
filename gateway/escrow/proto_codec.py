"""Messages between regions as bytes, and back. What cannot be read is refused, never guessed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from gateway.escrow.lending import MAX_LEVELS, LevelAsk, RootRefusal, RootRefused
from gateway.escrow.proto import escrow_pb2
from policies.escrow import OUTCOMES, Ask, Loan
from policies.plans import Level, Principal

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEVELS = (None, Level.key, Level.project, Level.org)
_REFUSALS = (None, *RootRefusal)
_ORG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
"""As gateway.admission.claims reads tenants: they are parts of keys in Redis."""
_OPTIONAL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._:@-]{0,127})?")
_PLAN = re.compile(r"[^\x00-\x1f]{0,256}")


def encode_request(region: str, org: str, asks: Sequence[LevelAsk]) -> bytes:
    request = escrow_pb2.LendRequest(region=region, org=org)
    for one in asks:
        ask = one.ask
        request.asks.add(
            level=_LEVELS.index(one.level),
            plan=one.plan,
            project=one.who.project,
            key=one.who.key,
            epoch=ask.epoch,
            generation=ask.generation,
            sequence=ask.sequence,
            received_us=ask.received_us,
            returned_us=ask.returned_us,
            holding_us=ask.holding_us,
            wanted_us=ask.wanted_us,
        )
    return request.SerializeToString()


def decode_request(payload: bytes) -> tuple[str, str, list[LevelAsk]]:
    """Region, org and asks. Raises RootRefused: `malformed` or `too_many_levels`."""
    try:
        request = escrow_pb2.LendRequest.FromString(payload)
    except DecodeError:
        raise RootRefused(RootRefusal.malformed) from None
    if len(request.asks) > MAX_LEVELS:
        raise RootRefused(RootRefusal.too_many_levels)
    if not request.asks or not _ORG.fullmatch(request.org):
        raise RootRefused(RootRefusal.malformed)
    asks = [_level_ask(request.org, entry) for entry in request.asks]
    if len({(one.level, _name(one)) for one in asks}) < len(asks):
        raise RootRefused(RootRefusal.malformed)
    return request.region, request.org, asks


def encode_loans(loans: Sequence[Loan]) -> bytes:
    reply = escrow_pb2.LendReply()
    for loan in loans:
        reply.loans.add(
            outcome=OUTCOMES.index(loan.outcome) + 1,
            epoch=loan.epoch,
            generation=loan.generation,
            granted_us=loan.granted_us,
            returned_us=loan.returned_us,
            retry_after_ms=loan.retry_after_ms,
        )
    return reply.SerializeToString()


def encode_refusal(refusal: RootRefusal) -> bytes:
    return escrow_pb2.LendReply(refusal=escrow_pb2.Refusal.Name(_REFUSALS.index(refusal))).SerializeToString()


def decode_reply(payload: bytes, *, num_asks: int) -> list[Loan]:
    """Raises RootRefused; a reply that cannot be read counts as `malformed`."""
    try:
        reply = escrow_pb2.LendReply.FromString(payload)
    except DecodeError:
        raise RootRefused(RootRefusal.malformed) from None
    refusal = reply.refusal
    if refusal != 0:
        known = 0 < refusal < len(_REFUSALS)
        raise RootRefused((_REFUSALS[refusal] if known else None) or RootRefusal.malformed)
    if len(reply.loans) != num_asks:
        raise RootRefused(RootRefusal.malformed)
    return [_loan(entry) for entry in reply.loans]


def _level_ask(org: str, entry: escrow_pb2.LevelAsk) -> LevelAsk:
    level = _LEVELS[entry.level] if 0 < entry.level < len(_LEVELS) else None
    names_are_good = (
        _OPTIONAL.fullmatch(entry.project) and _OPTIONAL.fullmatch(entry.key) and _PLAN.fullmatch(entry.plan)
    )
    if level is None or not names_are_good:
        raise RootRefused(RootRefusal.malformed)
    ask = Ask(
        entry.epoch,
        entry.generation,
        entry.sequence,
        entry.received_us,
        entry.returned_us,
        entry.holding_us,
        entry.wanted_us,
    )
    one = LevelAsk(Principal(org, entry.project, entry.key), level, entry.plan, ask)
    if level is not Level.org and not _name(one):
        raise RootRefused(RootRefusal.malformed)
    return one


def _name(one: LevelAsk) -> str:
    match one.level:
        case Level.key:
            return one.who.key
        case Level.project:
            return one.who.project
        case Level.org:
            return one.who.org


def _loan(entry: escrow_pb2.Loan) -> Loan:
    numbers = (entry.epoch, entry.generation, entry.granted_us, entry.returned_us, entry.retry_after_ms)
    if not 0 < entry.outcome <= len(OUTCOMES) or any(number < 0 for number in numbers):
        raise RootRefused(RootRefusal.malformed)
    return Loan(OUTCOMES[entry.outcome - 1], *numbers)
