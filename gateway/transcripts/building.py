"""The keeper of one gateway's words, built of its settings; None where nothing may be stored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.transcripts.erasing_clock import ErasingClock
from gateway.transcripts.keeping import TranscriptKeeper
from gateway.transcripts.local_store import LocalTranscriptStore
from gateway.transcripts.metrics import TranscriptMetrics
from gateway.transcripts.region_keys import KeysRefused, read_region_keys

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from gateway.decision_log.interface import DecisionLog
    from gateway.transcripts.interface import BundleInForce
    from gateway.transcripts.settings import TranscriptSettings


class TranscriptsRefused(Exception):
    """The store cannot be used as the settings say; `mistakes` lists each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def transcript_keeper(
    settings: TranscriptSettings,
    bundles: BundleInForce | None,
    decisions: DecisionLog,
    *,
    region: str,
    registry: CollectorRegistry,
) -> TranscriptKeeper:
    """Raises TranscriptsRefused. `bundles` None: there is no signed bundle, and nobody could permit anything."""
    if bundles is None:
        raise TranscriptsRefused(["transcripts: words are stored only where a bundle says so: give residency.bundle"])
    try:
        keys = read_region_keys(settings.key_file)
    except KeysRefused as refused:
        raise TranscriptsRefused([f"transcripts.key_file: {refused}"]) from None
    try:
        store = LocalTranscriptStore(
            settings.directory,
            region,
            keys,
            max_bytes=settings.max_bytes,
            max_session_bytes=settings.max_session_bytes,
        )
    except OSError as error:
        raise TranscriptsRefused([f"transcripts.directory: {settings.directory}: {error.strerror}"]) from None
    metrics = TranscriptMetrics(registry)
    metrics.watch(lambda: store.num_bytes)
    clock = ErasingClock(wall_s=time.time(), monotonic_s=time.monotonic())

    def now_s() -> float:
        return clock.now_s(wall_s=time.time(), monotonic_s=time.monotonic())

    return TranscriptKeeper(settings, store, bundles, decisions, metrics, region=region, now_s=now_s)
