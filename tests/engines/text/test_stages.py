"""What has effect in which language."""

from __future__ import annotations

import pytest

from engines.text.stages import stages_for

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("language", ["en", "en-US", "en_GB", "EN"])
def test_english_has_every_stage(language: str) -> None:
    stages = stages_for(language)
    assert stages.numerals
    assert stages.punctuation
    assert stages.profanity
    assert stages.spoken_redaction
    assert stages.written_redaction


@pytest.mark.parametrize("language", ["de", "enm", "", "fr-CA"])
def test_other_languages_have_what_needs_none(language: str) -> None:
    stages = stages_for(language)
    assert stages.written_redaction
    assert not stages.numerals
    assert not stages.punctuation
    assert not stages.profanity
    assert not stages.spoken_redaction
