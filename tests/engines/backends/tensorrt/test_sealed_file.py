"""A file that is not whole is never used: any byte changed, cut or added anywhere is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from engines.backends.tensorrt.sealed_file import read_facts, read_sealed, write_sealed
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

MAGIC = b"PATCHBAY-TESTING"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "x.engine"
    write_sealed(path, magic=MAGIC, facts={"a": 1}, payload=b"the plan")
    return path


def test_what_was_written_is_read(path: Path) -> None:
    facts, payload = read_sealed(path, magic=MAGIC)
    assert (facts["a"], facts["payload_bytes"], payload) == (1, 8, b"the plan")
    assert read_facts(path, magic=MAGIC) == facts
    assert [found.name for found in path.parent.iterdir()] == ["x.engine"]


def test_a_byte_changed_anywhere_is_found(path: Path) -> None:
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        with pytest.raises(ModelRejected):
            read_sealed(path, magic=MAGIC)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.data())
def test_a_file_cut_or_grown_is_found(path: Path, data: some.DataObject) -> None:
    write_sealed(path, magic=MAGIC, facts={"a": 1}, payload=b"the plan")
    whole = path.read_bytes()
    changed = data.draw(
        some.one_of(
            some.integers(0, len(whole) - 1).map(lambda end: whole[:end]),
            some.binary(min_size=1).map(lambda more: whole + more),
        )
    )
    path.write_bytes(changed)
    for read in (read_sealed, read_facts):
        with pytest.raises(ModelRejected):
            read(path, magic=MAGIC)


def test_another_kind_of_file_and_none_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="not a file of Patchbay's"):
        read_sealed(path, magic=b"PATCHBAY-ENGINE\n")
    with pytest.raises(ModelRejected, match="cannot be read"):
        read_sealed(tmp_path / "none", magic=MAGIC)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        write_sealed(tmp_path / "x", magic=MAGIC, facts={}, payload=b"")
    assert [found.name for found in tmp_path.iterdir()] == ["x"]
