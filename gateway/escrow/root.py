"""The root's desk: answers regions for the orgs whose home is here, and the gRPC server that it sits behind.

Every gateway of the home region answers; the books are in Redis. The secret is compared in constant time, and never
logged.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

import grpc.aio
import structlog

from gateway.escrow import proto_codec, script_calls
from gateway.escrow.lending import MAX_LEVELS, RootRefusal, RootRefused
from gateway.redis_link.errors import RedisAway
from policies.escrow import Loan, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.escrow.lending import LevelAsk
    from gateway.escrow.metrics import EscrowMetrics
    from gateway.escrow.settings import EscrowSettings
    from gateway.redis_link.client import RedisLink
    from policies.plans import Level, Principal, Rate

    RateOf = Callable[[Principal, str, Level], Rate | None]
    """The rate of a level by the plan that is named; None: it is not limited, or the plan is not known."""

METHOD = "/patchbay.escrow.v1.Escrow/Lend"
SECRET_HEADER = "patchbay-escrow-secret"
MAX_MESSAGE_BYTES = 512 * 1024
"""Above 256 levels with the longest names."""
_MAX_CALLS = 256
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
    # Borrowers ping a connection on which nothing comes.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
)

log = structlog.get_logger("gateway")


class RootDesk:
    """Lends what orgs of this region have. `region`: this one."""

    def __init__(
        self, settings: EscrowSettings, link: RedisLink, rate_of: RateOf, metrics: EscrowMetrics, *, region: str
    ) -> None:
        self._settings = settings
        self._link = link
        self._rate_of = rate_of
        self._metrics = metrics
        self._region = region

    async def lend(self, region: str, org: str, asks: Sequence[LevelAsk]) -> list[Loan]:
        """Raises RootRefused."""
        if region not in self._settings.addresses:
            raise RootRefused(RootRefusal.unknown_region)
        if self._settings.home_of(org) != self._region:
            raise RootRefused(RootRefusal.not_home)
        if len(asks) > MAX_LEVELS:
            raise RootRefused(RootRefusal.too_many_levels)
        rates = [self._rate_of(one.who, one.plan, one.level) for one in asks]
        limited = [
            ((one.who, one.level), one.ask, self._settings.terms(rate))
            for one, rate in zip(asks, rates, strict=True)
            if rate is not None
        ]
        try:
            lent = iter(await script_calls.lend(self._link, region, limited) if limited else ())
        except RedisAway:
            raise RootRefused(RootRefusal.away) from None
        loans = [
            Loan(Outcome.unlimited, 0, one.ask.generation, 0, 0) if rate is None else next(lent)
            for one, rate in zip(asks, rates, strict=True)
        ]
        for loan in loans:
            self._metrics.loans.labels(region, loan.outcome.value).inc()
        return loans


class RootServer:
    """Listens for other regions. Made within a running loop."""

    def __init__(self, settings: EscrowSettings, desk: RootDesk) -> None:
        self._desk = desk
        self._secret = settings.secret.get_secret_value().encode()
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_MAX_CALLS)
        self._server.add_generic_rpc_handlers((_Handler(self._lend),))
        self.port: int = self._server.add_insecure_port(f"{settings.host}:{settings.port}")

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, grace_s: float = 0.0) -> None:
        await self._server.stop(grace_s)

    async def _lend(self, payload: bytes, context: Any) -> bytes:
        try:
            if not self._is_authentic(context.invocation_metadata()):
                raise RootRefused(RootRefusal.unauthenticated)
            region, org, asks = proto_codec.decode_request(payload)
            return proto_codec.encode_loans(await self._desk.lend(region, org, asks))
        except RootRefused as error:
            log.warning("lending.refused", reason=error.refusal.value)
            return proto_codec.encode_refusal(error.refusal)

    def _is_authentic(self, metadata: Sequence[tuple[str, str | bytes]] | None) -> bool:
        given = dict(metadata or ()).get(SECRET_HEADER, "")
        return hmac.compare_digest(given.encode() if isinstance(given, str) else given, self._secret)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """One method, its messages as bytes: reading them is the codec's part, which answers what it cannot read."""

    def __init__(self, lend: Callable[[bytes, Any], Any]) -> None:
        self._lend = grpc.unary_unary_rpc_method_handler(lend)

    def service(self, details: Any) -> Any:
        return self._lend if details.method == METHOD else None
