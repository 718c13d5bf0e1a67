"""Stored words for tests: a real store in a folder, a real bundle whose project asks for it, a clock that is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from gateway.transcripts.interface import KeptFinal, KeptSession, Spoken
from gateway.transcripts.keeping import TranscriptKeeper
from gateway.transcripts.local_store import LocalTranscriptStore
from gateway.transcripts.metrics import TranscriptMetrics
from gateway.transcripts.region_keys import add_key, read_region_keys
from gateway.transcripts.settings import TranscriptSettings
from gateway.wire.messages import FinalMessage
from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Situation
from tests.harness.residency_bundle import NOON_S, PROFILES, project_row, residency_files, rule

if TYPE_CHECKING:
    from pathlib import Path

    from policies.residency.record import DecisionRecord

HERE = "eu-central-1"
DAY_S = 86_400
CLINIC = Situation(profile="eu-strict", project="acme/clinic", subject_countries=frozenset({"DE"}))
ASKS = f'subject_country = "DE"\ntranscripts = {{ region = "{HERE}", days = 30 }}'
STORAGE_RULES = rule(
    "P20-words-stay-in-the-eu",
    'permit (principal in Asr::Profile::"eu-strict", action == Asr::Action::"store_transcript", '
    'resource in Asr::Jurisdiction::"EU");',
) + rule(
    "P21-words-may-go",
    'permit (principal, action == Asr::Action::"erase_transcript", resource) unless { principal.legalHold };',
)


def table_of(clinic: str = ASKS, *, requires_consent: bool = False, rules: str = STORAGE_RULES) -> DecisionTable:
    """`clinic`: more lines of the row of acme/clinic."""
    profiles = PROFILES.replace("requires_consent = false", f"requires_consent = {str(requires_consent).lower()}")
    rows = project_row("acme/clinic", "eu-strict", clinic) + project_row("acme/other", "eu-strict")
    bundle = read_bundle(residency_files(projects=rows, profiles=profiles, more_rules=rules))
    return DecisionTable(ResidencyEngine(bundle, NOON_S))


def final(text: str, start_ms: int = 0) -> FinalMessage:
    return FinalMessage(text=text, start_ms=start_ms, end_ms=start_ms + 900, words=())


def kept_session(session: str = "s1", project: str = "acme/clinic", **changes: Any) -> KeptSession:
    said: dict[str, Any] = {"region": HERE, "begun_at_s": NOON_S, "keep_until_s": NOON_S + DAY_S}
    return KeptSession(session=session, project=project, **{**said, **changes})


def kept_final(text: str, start_ms: int = 0) -> KeptFinal:
    return KeptFinal(start_ms, start_ms + 900, text)


def store_in(folder: Path, **limits: int) -> LocalTranscriptStore:
    keys = folder / "region.keys"
    if not keys.exists():
        add_key(keys)
    bounds = {"max_bytes": 10**9, "max_session_bytes": 10**6} | limits
    return LocalTranscriptStore(folder / "words", HERE, read_region_keys(keys), **bounds)


class TranscriptWorld:
    """One gateway's keeper; `table` is what its bundle says now, None: no bundle is in force."""

    def __init__(self, folder: Path, *, region: str = HERE, max_queued_finals: int = 1_000, **limits: int) -> None:
        self.table: DecisionTable | None = table_of()
        self.now_s = float(NOON_S)
        self.records: list[DecisionRecord] = []
        self.registry = CollectorRegistry()
        self.store = store_in(folder, **limits)
        self.keeper = TranscriptKeeper(
            TranscriptSettings(
                directory=folder / "words", key_file=folder / "region.keys", max_queued_finals=max_queued_finals
            ),
            self.store,
            self,
            self,
            TranscriptMetrics(self.registry),
            region=region,
            now_s=lambda: self.now_s,
        )

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)

    def record_now(self, record: DecisionRecord, within_s: float) -> bool:
        self.records.append(record)
        return self.is_writable

    @property
    def is_writable(self) -> bool:
        return True

    async def spoken(self, *texts: str, session: str = "s1", subject: str = "patient-7", **situation: Any) -> bool:
        """A whole session; whether anything of it was to be kept."""
        where = Situation(**{**_fields(CLINIC), **situation})
        listener = self.keeper.listener(Spoken(session, where, subject))
        if listener is None:
            return False
        for number, text in enumerate(texts):
            listener.heard(final(text, number * 1_000))
        listener.ended()
        await self.keeper.flush()
        return True

    async def words_of(self, session: str = "s1") -> list[str]:
        return [one.text for piece in await self.keeper.read(session) for one in piece.finals]

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def _fields(situation: Situation) -> dict[str, Any]:
    return {name: getattr(situation, name) for name in situation.__slots__}
