"""The operations of one gateway, built of its parts."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.operations.acts import ActParts, OrderActs
from gateway.operations.audit import AuditLog
from gateway.operations.audit_spool import AuditSpool
from gateway.operations.dry_run import DryRun
from gateway.operations.glass_acts import GlassActs
from gateway.operations.glass_http import GlassHttp
from gateway.operations.metrics import OperationsMetrics
from gateway.operations.operations_http import OperationsHttp
from gateway.operations.operators import BREAK_GLASS, ERASE, OPERATE, SUPPORT, Operators
from gateway.operations.places import Places
from gateway.operations.refusals import ActRefused
from gateway.operations.transcript_acts import TranscriptActs, TranscriptParts
from gateway.operations.transcripts_http import TranscriptsHttp

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from gateway.admission.revocation_check import RevocationCheck
    from gateway.admission.tokens import TokenVerifier
    from gateway.decision_log.interface import DecisionLog
    from gateway.operations.audit import AuditStream
    from gateway.operations.glass_book import GlassBook
    from gateway.operations.places import EnginePlaces
    from gateway.operations.settings import OperationsSettings
    from gateway.transcripts.interface import BundleInForce
    from gateway.transcripts.keeping import TranscriptKeeper
    from policies.routing import RoutingWeights
    from regions.facts import Facts
    from regions.orders.book import OrderBook

_EXPIRE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class OperationsParts:
    """What operations need of a gateway. `stream` None: there is no Redis."""

    facts: Facts
    engines: EnginePlaces
    book: OrderBook
    weights: RoutingWeights
    verifier: TokenVerifier
    revocations: RevocationCheck
    stream: AuditStream | None
    registry: CollectorRegistry
    glass: GlassBook
    decisions: DecisionLog
    transcripts: TranscriptKeeper | None = None
    bundles: BundleInForce | None = None
    """Both, or none: words are stored only under a bundle."""


class Operations:
    """`pages` for the admin listener; `run` until cancelled."""

    def __init__(self, settings: OperationsSettings, parts: OperationsParts) -> None:
        def operators(scope: str) -> Operators:
            return Operators(
                parts.verifier, parts.revocations, lambda: int(time.time()), issuers=settings.issuers, scope=scope
            )

        places = Places(parts.facts, parts.engines, lambda: parts.book.orders)
        self._audit = AuditLog(
            parts.stream,
            AuditSpool(settings.audit_file),
            OperationsMetrics(parts.registry),
            now_ms=_unix_ms,
            decisions=parts.decisions,
        )
        writing = ActParts(
            book=parts.book,
            audit=self._audit,
            regions=places.parts,
            digest=lambda: places.digest,
            now_ms=_unix_ms,
            gateway=parts.book.gateway,
        )
        self._acts = OrderActs(writing)
        self._glass_acts = GlassActs(
            parts.glass,
            writing.write,
            parts.decisions,
            now_s=parts.glass.now_s,
            max_s=settings.break_glass.max_minutes * 60,
        )
        glass = GlassHttp(operators(BREAK_GLASS), self._glass_acts, parts.glass, here=parts.facts.here)
        orders = OperationsHttp(
            operators=operators(OPERATE),
            acts=self._acts,
            audit=self._audit,
            places=places,
            dry_run=DryRun(places, parts.book, parts.weights, lambda: parts.facts.snapshot_age_ms),
            book=parts.book,
        )
        transcripts = TranscriptsHttp(
            operators(SUPPORT), operators(ERASE), self._transcript_acts(parts, writing), here=parts.facts.here
        )
        self.pages = (orders, glass, transcripts)

    @staticmethod
    def _transcript_acts(parts: OperationsParts, writing: ActParts) -> TranscriptActs | None:
        if parts.transcripts is None or parts.bundles is None:
            return None
        return TranscriptActs(
            TranscriptParts(
                keeper=parts.transcripts,
                bundles=parts.bundles,
                glass=parts.glass,
                decisions=parts.decisions,
                write=writing.write,
                now_s=parts.glass.now_s,
                here=parts.facts.here,
            )
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._audit.run())
            tasks.create_task(self._expire())
            tasks.create_task(self._glass_acts.run())

    async def _expire(self) -> None:
        while True:
            with suppress(ActRefused):  # it is written down, and tried again
                await self._acts.expire()
            await asyncio.sleep(_EXPIRE_EVERY_S)


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
