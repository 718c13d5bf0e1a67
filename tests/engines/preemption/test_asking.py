"""Promises of the questions to a metadata service."""

from __future__ import annotations

import pytest

from engines.preemption.asking import MetadataClient, SourceAway
from tests.harness.metadata_servers import AwsReplay


async def test_a_redirect_is_an_answer_and_nobody_is_followed() -> None:
    replay = AwsReplay()
    replay.broken = (302, b"elsewhere")
    async with replay.serving(), MetadataClient(replay.endpoint) as client:
        assert (await client.ask("GET", "/x", timeout_s=20, headers={})).status == 302
    assert replay.asked == [("GET", "/x")]


async def test_an_answer_that_is_late_or_endless_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    replay = AwsReplay()
    async with replay.serving(), MetadataClient(replay.endpoint) as client:
        replay.broken = (200, b"x" * 100_000)
        with pytest.raises(SourceAway, match="more than"):
            await client.ask("GET", "/x", timeout_s=20, headers={})
        replay.answers_after_s = 60
        with pytest.raises(SourceAway, match="no answer within"):
            await client.ask("GET", "/x", timeout_s=0.05, headers={})
