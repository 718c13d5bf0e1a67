"""Stored words in figures; no label names anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry


class TranscriptMetrics:
    """One a gateway that may store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sessions = Counter(
            "patchbay_transcript_sessions",
            "Sessions whose project asks for storage, by what was decided.",
            ["decision"],
            registry=registry,
        )
        self.stored = Counter("patchbay_transcript_finals_stored", "Finals that were stored.", registry=registry)
        self.lost = Counter(
            "patchbay_transcript_finals_lost",
            "Finals that were to be stored and could not be, by reason.",
            ["reason"],
            registry=registry,
        )
        self.erased = Counter(
            "patchbay_transcript_pieces_erased",
            "Pieces of sessions that were erased: on request, or at the end of their term.",
            ["why"],
            registry=registry,
        )
        self.held = Gauge(
            "patchbay_transcripts_overdue",
            "Pieces of sessions whose term is over and that may not be erased.",
            registry=registry,
        )
        self._bytes = Gauge("patchbay_transcripts_bytes", "Of all that is stored.", registry=registry)

    def watch(self, num_bytes: Callable[[], int]) -> None:
        self._bytes.set_function(lambda: float(num_bytes()))
