"""Promises of the building of stored words: without a bundle or a key there is no store at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.decision_log.interface import NoDecisionLog
from gateway.transcripts.building import TranscriptsRefused, transcript_keeper
from gateway.transcripts.region_keys import add_key
from gateway.transcripts.settings import TranscriptSettings
from tests.gateway.transcripts.transcript_world import HERE, TranscriptWorld

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_it_needs_a_bundle_and_a_key(tmp_path: Path) -> None:
    settings = TranscriptSettings(directory=tmp_path / "words", key_file=tmp_path / "keys")
    (tmp_path / "other").mkdir()
    bundles = TranscriptWorld(tmp_path / "other")
    how = {"region": HERE, "registry": CollectorRegistry()}
    with pytest.raises(TranscriptsRefused, match="bundle"):
        transcript_keeper(settings, None, NoDecisionLog(), **how)  # type: ignore[arg-type]
    with pytest.raises(TranscriptsRefused, match="key_file"):
        transcript_keeper(settings, bundles, NoDecisionLog(), **how)  # type: ignore[arg-type]
    assert not (tmp_path / "words").exists()
    add_key(tmp_path / "keys")
    keeper = transcript_keeper(settings, bundles, NoDecisionLog(), **how)  # type: ignore[arg-type]
    assert await keeper.sessions() == []
    (tmp_path / "words").chmod(0o700)
    blocked = settings.model_copy(update={"directory": tmp_path / "keys"})
    with pytest.raises(TranscriptsRefused, match="directory"):
        transcript_keeper(blocked, bundles, NoDecisionLog(), **how)  # type: ignore[arg-type]
