"""The recordings can be made again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import engines.models
from engines.models.recipe.shipping.recordings import PLANS, RecordingPlan

pytestmark = pytest.mark.recipe

SHIPPED = Path(engines.models.__file__).parent / "recordings"


def test_the_shipped_files_are_what_the_recipe_makes(tmp_path: Path) -> None:
    # In a process of its own: the synthesisers carry state from one utterance to the next.
    command = ["-m", "engines.models.recipe.shipping.recordings", "--out", str(tmp_path)]
    subprocess.run([sys.executable, *command], check=True)

    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    shipped = {name: (SHIPPED / name).read_bytes() for name in made}
    assert [name for name in made if made[name] != shipped[name]] == []
    assert len(made) == len(PLANS) + 1


@pytest.mark.parametrize(
    ("voice", "is_trained_on"),
    [("slt", True), ("rms", False), ("en-us", True), ("en-us+f3", True), ("en-us+Mike", False)],
)
def test_a_plan_knows_whether_its_voice_was_trained_on(voice: str, is_trained_on: bool) -> None:
    assert RecordingPlan("name", voice, ("one",)).is_trained_on is is_trained_on
