"""A client that is turned away while it still sends hears why: its connection is not cut under its last message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.caller import start_of, transcribe
from tests.harness.recordings import cut

if TYPE_CHECKING:
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

LETTER = b"RIFF" + b"Dear maintainers,\n" * 20_000
TRIES = 25


@pytest.mark.parametrize("piece_bytes", [500, 20_000])
@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_a_client_that_is_still_sending_hears_why_its_session_ends(
    region: Region, protocol: str, piece_bytes: int
) -> None:
    for _ in range(TRIES):
        caller = await transcribe(region, cut(LETTER, piece_bytes), start=start_of("wav"), protocol=protocol)
        assert caller.error is not None, (caller.heard, caller.failure)
        assert caller.error.reason == "undecodable_audio"


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_a_client_that_does_not_wait_for_started_hears_why_it_is_refused(region: Region, protocol: str) -> None:
    for _ in range(TRIES):
        caller = await transcribe(region, cut(LETTER, 500), start=start_of("cassette"), protocol=protocol)
        assert caller.error is not None, (caller.heard, caller.failure)
        assert caller.error.reason == "bad_audio_format"
