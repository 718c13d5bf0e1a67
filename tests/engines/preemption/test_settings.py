"""Promises of what names a source."""

from __future__ import annotations

import pytest

from engines.preemption.settings import BadSource, SourceSpec, read_sources

pytestmark = pytest.mark.unit


def test_several_sources_are_named_with_commas() -> None:
    assert read_sources("aws, http:127.0.0.1:9300,http:[::1]:0") == (
        SourceSpec("aws"),
        SourceSpec("http", "127.0.0.1", 9_300),
        SourceSpec("http", "::1", 0),
    )
    assert read_sources("") == ()


@pytest.mark.parametrize("text", ["amazon", "http", "http:9300", "http://127.0.0.1:9300", "http:h:70000", "aws;gcp"])
def test_anything_else_is_a_mistake(text: str) -> None:
    with pytest.raises(BadSource, match="must be"):
        read_sources(text)
