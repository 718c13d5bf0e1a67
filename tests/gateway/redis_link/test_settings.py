"""What may be said of a Redis."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from gateway.redis_link.settings import RedisSettings

pytestmark = pytest.mark.unit


def test_several_urls_are_a_cluster() -> None:
    urls = (SecretStr("redis://a"), SecretStr("redis://b"))
    with pytest.raises(ValidationError, match="is_cluster"):
        RedisSettings(urls=urls)
    assert RedisSettings(urls=urls, is_cluster=True).urls == urls


def test_a_password_in_a_url_is_never_shown() -> None:
    settings = RedisSettings(urls=(SecretStr("redis://:secret@a"),))
    assert "secret@" not in repr(settings)
    assert "secret@" not in settings.model_dump_json()
