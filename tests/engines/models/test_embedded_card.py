"""The model card speaks of the files that lie beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import engines.models

pytestmark = pytest.mark.unit

EMBEDDED = Path(engines.models.__file__).parent / "embedded"
CARD = (EMBEDDED / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["model.onnx", "tokens.txt"])
def test_the_card_names_the_digest_of_the_shipped_file(name: str) -> None:
    assert hashlib.sha256((EMBEDDED / name).read_bytes()).hexdigest() in CARD


def test_the_card_names_the_size_of_the_model() -> None:
    assert f"{(EMBEDDED / 'model.onnx').stat().st_size:,} bytes" in CARD
