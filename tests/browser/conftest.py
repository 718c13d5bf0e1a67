"""One browser for all files: starting one takes longer than most tests."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import pytest

from tests.browser.console_server import console_served
from tests.harness.browser import running_browser
from tests.harness.recordings import RATE_HZ, pcm_of, silence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.browser import Browser

SPOKEN = "weather_rp.wav"
"""What the microphone hears."""


def write_wav(path: Path, pcm16: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm16)
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """It hears a recording as its microphone, with silence around it: the first 40 to 60 ms of a fake one are lost."""
    folder = tmp_path_factory.mktemp("browser")
    microphone = write_wav(folder / "microphone.wav", silence(600) + pcm_of(SPOKEN) + silence(6_000))
    with running_browser(folder, microphone=microphone) as running:
        yield running


@pytest.fixture(scope="session")
def static_console() -> Iterator[str]:
    """The address of the console's page without a gateway behind it."""
    with console_served() as address:
        yield f"{address}/console"
