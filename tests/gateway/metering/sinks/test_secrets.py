"""Keys and tokens of receivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.metering.sinks.secrets import Secret, SecretUnreadable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_file_is_read_again_after_the_receiver_refused_what_stood_in_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    secret = Secret(None, file)
    assert secret.text() == "old"
    file.write_text("new\n")
    assert secret.text() == "old"
    secret.refused()
    assert secret.text() == "new"


def test_a_secret_of_the_settings_stays_and_is_not_shown() -> None:
    secret = Secret(SecretStr("sk_live_1"), None)
    secret.refused()
    assert (secret.is_given, secret.text()) == (True, "sk_live_1")
    assert "sk_live_1" not in f"{secret!r} {vars(secret)}"


def test_a_file_that_is_missing_or_empty_is_told_and_looked_at_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    secret = Secret(None, file)
    with pytest.raises(SecretUnreadable):
        secret.text()
    file.write_text("\n")
    with pytest.raises(SecretUnreadable):
        secret.text()
    file.write_text("t")
    assert secret.text() == "t"
    with pytest.raises(SecretUnreadable):
        Secret(None, None).text()
