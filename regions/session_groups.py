"""The live sessions of one gateway in groups that are alike to placement, for who plans to empty a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from regions.links.pool_stream import PoolStream
from regions.orders.reports import MAX_IDS, SessionGroupFacts, few

if TYPE_CHECKING:
    from regions.links.pool import LinkPool
    from regions.placement import RegionalPlacement
    from regions.session_pool import PlacedSession


def session_groups(placement: RegionalPlacement, pool: LinkPool, here: str) -> tuple[SessionGroupFacts, ...]:
    """Of this gateway's own sessions, and of the streams that peers have on this region's engines: what these permit is
    known to their own gateways alone, so `permitted` is empty.

    Args:
        pool: this region's engines.
    """
    found: dict[SessionGroupFacts, list[str]] = {}
    own = set()
    for session in placement.sessions:
        own.add(session.session_id)
        found.setdefault(_group_of(session, pool, here), []).append(session.session_id)
    for stream in pool.streams():
        if stream.asked.session_id not in own:
            group = _group(stream, pool, here, permitted=(), tier=stream.asked.tier)
            found.setdefault(group, []).append(stream.asked.session_id)
    return few(
        [
            msgspec.structs.replace(group, count=len(ids), session_ids=tuple(ids[:MAX_IDS]))
            for group, ids in found.items()
        ]
    )


def _group_of(session: PlacedSession, pool: LinkPool, here: str) -> SessionGroupFacts:
    permitted, tier = tuple(sorted(session.permitted)), session.tier.value
    classes = tuple((name, tuple(sorted(known))) for name, known in session.classes)
    for placed in session.streams:
        inner = placed.inner
        if placed.is_granted and placed.region is not None and isinstance(inner, PoolStream):
            own = pool if placed.region.name == here else None
            group = _group(inner, own, placed.region.name, permitted=permitted, tier=tier)
            return msgspec.structs.replace(group, classes=classes)
    return SessionGroupFacts(
        permitted=permitted,
        tier=tier,
        model="",
        model_version="",
        language="",
        region=session.region or "",
        classes=classes,
    )


def _group(
    stream: PoolStream, pool: LinkPool | None, region: str, *, permitted: tuple[str, ...], tier: str
) -> SessionGroupFacts:
    """`pool`: None where it is another region's, whose engines are not known here."""
    options = stream.asked.options
    engine = stream.replica.address if pool is not None and stream.replica is not None else ""
    return SessionGroupFacts(
        permitted=permitted,
        tier=tier,
        model=options.model,
        model_version=options.model_version,
        language=options.language,
        region=region,
        engine=engine,
        pool="" if pool is None else pool.pool_of(engine),
    )
