"""Emergency permissions for tests: a clock that is set, and one that was opened by two people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from gateway.operations.glass_acts import GlassActs
from gateway.operations.glass_bodies import GlassBody
from gateway.operations.glass_book import GlassBook
from gateway.operations.glass_metrics import GlassMetrics
from gateway.operations.operators import Operator
from policies.residency.decision import Situation

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.operations.audit_event import AuditEvent
    from gateway.operations.glass_store import GlassStore
    from policies.residency.record import DecisionRecord

ADA, GRACE = Operator("ada"), Operator("grace")
CLINIC = Situation(profile="eu-strict", project="acme/clinic")


def wish(**changes: Any) -> GlassBody:
    asked = {
        "project": "acme/clinic",
        "actions": ("support_access",),
        "regions": ("eu-1",),
        "ticket": "INC-7",
        "reason": "a caller hears nothing",
        "minutes": 60,
    }
    return GlassBody.model_validate({**asked, **changes})


@dataclass
class GlassWorld:
    """One gateway's; `now_s` is its clock."""

    copy_file: Path | None = None
    store: GlassStore | None = None
    now_s: float = 1_000.0
    events: list[AuditEvent] = field(default_factory=list)
    records: list[DecisionRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.book = GlassBook(self.store, self.copy_file, GlassMetrics(self.registry), now_s=lambda: self.now_s)
        self.acts = GlassActs(self.book, self._write, self, now_s=lambda: self.now_s, max_s=4 * 3_600)

    async def _write(self, event: AuditEvent) -> None:
        self.events.append(event)

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)

    def record_now(self, record: DecisionRecord, within_s: float) -> bool:
        self.records.append(record)
        return self.is_writable

    @property
    def is_writable(self) -> bool:
        return True

    async def opened(self, **changes: Any) -> str:
        """The id of one that two people agreed on."""
        asked = await self.acts.ask(ADA, wish(**changes))
        await self.acts.confirm(GRACE, asked.permission.id)
        return asked.permission.id

    def covers(self, region: str = "eu-1", action: str = "support_access") -> bool:
        return self.book.has_break_glass(CLINIC, action, region)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.act.value, event.outcome) for event in self.events]

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)
