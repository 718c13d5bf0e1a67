"""Keys for resume tokens come from settings or a file, or are made; they are never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.resumption.settings import ResumptionSettings
from gateway.resumption.token_keys import ResumptionRefused, create_key_file, load_token_keys

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

KEY, OTHER = "k" * 32, "o" * 32


def test_the_first_key_of_a_file_signs_and_all_are_believed(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# new\n{KEY}\n\n{OTHER}\n")
    keys = load_token_keys(ResumptionSettings(key_file=file))
    assert keys.by_id[keys.signer] == KEY.encode()
    assert sorted(keys.by_id.values()) == [KEY.encode(), OTHER.encode()]
    assert keys == load_token_keys(ResumptionSettings(keys=(SecretStr(KEY), SecretStr(OTHER))))
    assert KEY not in repr(keys)


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n", f"{KEY}\nshort\n", b"\xff\xfe"])
def test_a_file_without_good_keys_is_refused_and_not_shown(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "keys"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ResumptionRefused, match=r"resumption\.key_file") as refused:
        load_token_keys(ResumptionSettings(key_file=file))
    assert "short" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResumptionRefused, match="cannot be read"):
        load_token_keys(ResumptionSettings(key_file=tmp_path / "none"))


def test_without_settings_each_process_has_a_key_of_its_own() -> None:
    first, second = load_token_keys(ResumptionSettings()), load_token_keys(ResumptionSettings())
    assert first.signer != second.signer


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    create_key_file(file)
    made = file.read_text()
    create_key_file(file)
    assert file.read_text() == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
    load_token_keys(ResumptionSettings(key_file=file))
