"""Revocations in Redis: one stream, to which operators append and which every gateway follows.

An entry has the field `news`: a Revocation or an Undone as JSON. Entries older than any token can be are trimmed at
each append, and the stream itself expires when its last entry has; so nothing has to be cleaned up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from gateway.admission.revocations import Revocation, Undone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

    from gateway.redis_link.client import RedisLink

BEGINNING = "0-0"
_FIELD = "news"
_PAGE = 1_000
_SPARE_S = 3_600
"""Entries are kept for longer than they hold by so much: clocks differ."""
_RESTORER_MS = 5_000


class _RevocationNews(msgspec.Struct, frozen=True, tag="revoked"):
    revoked: Revocation


class _UndoneNews(msgspec.Struct, frozen=True, tag="undone"):
    undone: Undone


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[_RevocationNews | _UndoneNews] = msgspec.json.Decoder(_RevocationNews | _UndoneNews)


class LogFull(Exception):
    """As many revocations stand as may."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came after a place in the stream, in order, and the place behind it. `is_last`: nothing more was there."""

    news: tuple[Revocation | Undone, ...]
    through: str
    is_last: bool
    unreadable: int = 0


class RevocationLog:
    """The stream. Every call raises RedisAway where Redis does not answer."""

    def __init__(self, link: RedisLink, *, max_life_s: int, max_entries: int) -> None:
        self._link = link
        self._key = link.names.revocations
        self._max_life_s = max_life_s
        self._max_entries = max_entries

    async def meet(self) -> None:
        """Learn which server this is; from here on `losses` tells of another one."""
        await self._link.probe("revocations")

    @property
    def losses(self) -> int:
        """Changes when a server was met that may have lost data."""
        return self._link.losses

    async def now_s(self) -> int:
        """Redis's own clock: those of operators' machines differ."""
        seconds, _ = await self._link.ask(lambda redis: redis.time())
        return int(seconds)

    async def append(self, news: Sequence[Revocation | Undone]) -> None:
        """Write all of them, in order.

        Raises:
            LogFull: nothing was written.
        """
        if not news:
            return
        now_s = await self.now_s()
        oldest_ms = max(0, (now_s - self._max_life_s - _SPARE_S) * 1_000)
        await self._link.ask(lambda redis: redis.xtrim(self._key, minid=f"{oldest_ms}-0", approximate=False))
        if await self._link.ask(lambda redis: redis.xlen(self._key)) + len(news) > self._max_entries:
            raise LogFull(f"{self._max_entries} revocations stand already; revoke by tenant instead of one by one")
        for first in range(0, len(news), _PAGE):
            await self._write(news[first : first + _PAGE], expires_at_s=now_s + self._max_life_s + 2 * _SPARE_S)

    async def _write(self, news: Sequence[Revocation | Undone], *, expires_at_s: int) -> None:
        async def write(redis: Redis) -> None:
            async with redis.pipeline(transaction=False) as calls:
                for one in news:
                    calls.xadd(self._key, {_FIELD: _encoder.encode(_wrapped(one))})
                calls.expireat(self._key, expires_at_s)
                await calls.execute()

        await self._link.ask(write)

    async def newest(self) -> str:
        """The place of the last entry; the beginning where there is none."""
        found: list[Any] = await self._link.ask(lambda redis: cast("Any", redis.xrevrange(self._key, count=1)))
        return _text(found[0][0]) if found else BEGINNING

    async def after(self, place: str) -> Page:
        """The next entries. One that cannot be read (a later release's) is counted and left out."""
        found: list[Any] = await self._link.ask(
            lambda redis: cast("Any", redis.xrange(self._key, min=_behind(place), count=_PAGE))
        )
        news: list[Revocation | Undone] = []
        unreadable = 0
        for _, fields in found:
            read = _read(fields)
            if read is None:
                unreadable += 1
            else:
                news.append(read)
        through = _text(found[-1][0]) if found else place
        return Page(tuple(news), through, is_last=len(found) < _PAGE, unreadable=unreadable)

    async def may_restore(self) -> bool:
        """Whether it is this gateway that writes anew what Redis lost; one at a time does."""
        key = self._link.names.revocations_restorer
        return bool(await self._link.ask(lambda redis: redis.set(key, "1", nx=True, px=_RESTORER_MS)))


def _wrapped(news: Revocation | Undone) -> _RevocationNews | _UndoneNews:
    return _RevocationNews(news) if isinstance(news, Revocation) else _UndoneNews(news)


def _read(fields: dict[bytes | str, bytes | str]) -> Revocation | Undone | None:
    text = fields.get(_FIELD.encode(), fields.get(_FIELD))
    if text is None:
        return None
    try:
        news = _decoder.decode(text)
    except msgspec.DecodeError:
        return None
    return news.revoked if isinstance(news, _RevocationNews) else news.undone


def _behind(place: str) -> str:
    return "-" if place == BEGINNING else f"({place}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def is_before(place: str, other: str) -> bool:
    """Places in a stream are two numbers."""
    return _numbers(place) < _numbers(other)


def _numbers(place: str) -> tuple[int, int]:
    milliseconds, _, number = place.partition("-")
    return int(milliseconds), int(number or 0)
