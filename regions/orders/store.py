"""The orders of one region in its Redis. Every call is one script; nothing is tried twice here.

Everything carries the region's name as hash tag, so that one script may touch it all in a cluster too:

    PREFIX:orders:{REGION}:book     hash    revision, digest, document (JSON)
    PREFIX:orders:{REGION}:reports  hash    gateway -> report (JSON)
    PREFIX:orders:{REGION}:seen     zset    gateway -> when it reported last (Redis's clock)
    PREFIX:orders:{REGION}:asked    string  the question about sessions that gateways answer with their reports
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from regions.orders.codec import Version, decode_orders, encode_orders, version_of
from regions.orders.reports import GatewayReport, decode_report, encode_report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from policies.orders import Orders

REPORT_COUNTS_MS = 5_000
"""A gateway that was silent for so long is gone."""
_QUESTION_STANDS_MS = 5_000
_SCRIPT = (Path(__file__).parent / "orders.lua").read_text(encoding="utf-8")


class Ask(Protocol):
    """Makes a call to Redis, within its time. Raises StoreAway."""

    def __call__(self, call: Callable[[Redis], Awaitable[Any]]) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True)
class OrderNames:
    """The keys of one region. `prefix` as in gateway.redis_link.settings; no org's keys begin like these."""

    prefix: str
    region: str

    @property
    def keys(self) -> tuple[str, ...]:
        place = f"{self.prefix}:orders:{{{self.region}}}"
        return (f"{place}:book", f"{place}:reports", f"{place}:seen", f"{place}:asked")


class Look(NamedTuple):
    """`orders`: None where the version is the one that was known, or where nothing is there (`version` is empty)."""

    version: str
    question: str
    orders: Orders | None


class Put(NamedTuple):
    """`orders`: what was there instead; None: nothing."""

    is_written: bool
    version: str
    orders: Orders | None


class OrderStore:
    """Each method raises StoreAway, and OrdersMalformed where what is there cannot be read."""

    def __init__(self, ask: Ask, names: OrderNames) -> None:
        self._ask = ask
        self._keys = names.keys

    async def look(self, known_version: str, *, gateway: str, report: GatewayReport) -> Look:
        """Say how far this gateway is, and see what is in force."""
        answer = await self._call("look", known_version, gateway, encode_report(report), REPORT_COUNTS_MS)
        version, question, *rest = answer
        return Look(version.decode(), question.decode(), _orders_in(rest))

    async def leave(self, gateway: str) -> None:
        """It reports no more."""
        await self._call("leave", gateway)

    async def change(self, orders: Orders, *, known_version: str) -> Put:
        """Put these in force where `known_version` is, and nothing where another one is."""
        version = version_of(orders)
        return _put_of(
            await self._call("change", known_version, version.revision, version.digest, encode_orders(orders))
        )

    async def restore(self, orders: Orders) -> Put:
        """Put these there, unless what is there is as late."""
        version = version_of(orders)
        return _put_of(await self._call("restore", version.revision, version.digest, encode_orders(orders)))

    async def ask(self, question: str) -> str:
        """Each gateway answers it with its next report. Gives the question that stands: one that somebody else asked a
        moment ago is as good, and is not taken from him.
        """
        (standing,) = await self._call("ask", question, _QUESTION_STANDS_MS)
        return str(standing.decode())

    async def hear(self) -> dict[str, GatewayReport]:
        """The last report of each gateway that is there; those that cannot be read are left out."""
        answer = await self._call("hear", REPORT_COUNTS_MS)
        heard = {}
        for gateway, raw in zip(answer[::2], answer[1::2], strict=True):
            report = decode_report(raw)
            if report is not None:
                heard[gateway.decode()] = report
        return heard

    async def _call(self, *arguments: str | bytes | int) -> list[Any]:
        async def call(redis: Redis) -> Any:
            return await redis.eval(_SCRIPT, len(self._keys), *self._keys, *arguments)

        answer: list[Any] = await self._ask(call)
        return answer


def version_text(orders: Orders) -> str:
    """As the store names it."""
    return str(Version(*version_of(orders)))


def _orders_in(rest: list[bytes]) -> Orders | None:
    return decode_orders(rest[0]) if rest and rest[0] else None


def _put_of(answer: list[Any]) -> Put:
    is_written, version, *rest = answer
    return Put(is_written == 1, version.decode(), _orders_in(rest))
