"""Promises of the border to stores of words: any store that keeps it can be put in another's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.transcripts.interface import StoreFailed
from tests.gateway.transcripts.transcript_world import DAY_S, NOON_S, kept_final, kept_session, store_in

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.transcripts.interface import TranscriptStore

pytestmark = pytest.mark.unit


def test_a_store_keeps_reads_and_erases_as_the_border_says(tmp_path: Path) -> None:
    store: TranscriptStore = store_in(tmp_path)
    for session, subject in (("s1", "patient-7"), ("s2", "patient-8")):
        store.begin(kept_session(session), subject)
        store.keep(session, [kept_final("one"), kept_final("two", 1_000)])
        store.end(session, is_complete=session == "s1")
    assert [(piece.is_complete, len(piece.finals)) for name in ("s1", "s2") for piece in store.read(name)] == [
        (True, 2),
        (False, 2),
    ]
    assert (store.erase("acme/clinic", "patient-7"), store.erase("acme/other", "patient-8")) == (1, 0)
    assert store.read("s1") == []
    assert store.sweep(NOON_S + DAY_S - 1, lambda _kept: True).erased == ()
    assert [kept.session for kept in store.sweep(NOON_S + DAY_S, lambda _kept: False).held] == ["s2"]
    assert [kept.session for kept in store.sweep(NOON_S + DAY_S, lambda _kept: True).erased] == ["s2"]
    assert (store.sessions(), store.rewrap()) == ([], 0)


def test_a_failure_says_why_in_one_word() -> None:
    assert StoreFailed("full").reason == "full"
