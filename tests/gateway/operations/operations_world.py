"""The operations of a gateway in north, beside east and south: real parts over fakes of regions, without a Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry

from gateway.admission.revocation_check import NothingRevoked
from gateway.admission.settings import TokenSettings
from gateway.admission.tokens import token_verifier
from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, DevClaims, DevKeys, create_or_load
from gateway.operations.building import Operations, OperationsParts
from gateway.operations.glass_book import GlassBook
from gateway.operations.glass_metrics import GlassMetrics
from gateway.operations.settings import OperationsSettings
from policies.routing import RoutingWeights
from regions.orders.book import OrderBook
from tests.regions.placement_world import World

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.operations.audit import AuditStream
    from policies.residency.record import DecisionRecord


def issuer_of(keys: DevKeys) -> TokenSettings:
    issuer: dict[str, Any] = {
        "issuer": DEV_ISSUER,
        "audience": DEV_AUDIENCE,
        "algorithms": [DEV_ALGORITHM],
        "static_keys": keys.jwks()["keys"],
    }
    return TokenSettings.model_validate({"issuers": [issuer]})


class KeptDecisions:
    """A decision log that a test reads."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)

    def record_now(self, record: DecisionRecord, within_s: float) -> bool:
        self.records.append(record)
        return self.is_writable

    @property
    def is_writable(self) -> bool:
        return True


class OperationsWorld:
    """`app` serves what stands on the admin listener."""

    def __init__(self, folder: Path, http: ClientSession, *, stream: AuditStream | None = None) -> None:
        self.keys = create_or_load(folder)
        self.world = World()
        self.book = OrderBook(gateway="north/1", store=None, copy=None)
        self.registry = CollectorRegistry()
        self.glass = GlassBook(None, folder / "glass.json", GlassMetrics(self.registry), now_s=time.time)
        self.decisions = KeptDecisions()
        self.verifier = token_verifier(issuer_of(self.keys), http)
        self.operations = Operations(
            OperationsSettings(audit_file=folder / "audit.jsonl"),
            OperationsParts(
                facts=self.world.facts,
                engines=self.world.pools["north"],
                book=self.book,
                weights=RoutingWeights(),
                verifier=self.verifier,
                revocations=NothingRevoked(),
                stream=stream,
                registry=self.registry,
                glass=self.glass,
                decisions=self.decisions,
            ),
        )
        self.app = web.Application()
        for page in self.operations.pages:
            page.add_to(self.app)

    def token(self, subject: str = "ada", *, scopes: tuple[str, ...] = ("operate",)) -> str:
        return self.keys.mint(DevClaims(subject=subject, scopes=scopes), ttl_s=600, now_s=int(time.time()))

    def as_(self, subject: str, **how: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(subject, **how)}"}
