"""What an edge process is told becomes the rules of its layers; what cannot be is refused with words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.webtransport.edge_settings import (
    EdgeSettings,
    connection_ids_of,
    door_rules_of,
    quic_rules_of,
    secret_in,
)
from gateway.webtransport.settings import ConnectionIdSettings, WebTransportSettings
from tests.harness.webtransport_edge import SECRET, edge_settings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def with_ids(folder: Path, **ids: object) -> WebTransportSettings:
    return edge_settings(folder, folder / "hop.sock", connection_ids=ConnectionIdSettings(**ids)).webtransport  # type: ignore[arg-type]


def test_settings_survive_the_pipe_and_show_no_secret(tmp_path: Path) -> None:
    settings = edge_settings(tmp_path, tmp_path / "hop.sock", processes=3, origins=("https://a.example",))
    assert EdgeSettings.model_validate_json(settings.model_dump_json()) == settings
    assert SECRET.hex() not in repr(settings)


def test_rules_follow_from_settings(tmp_path: Path) -> None:
    settings = edge_settings(
        tmp_path,
        tmp_path / "hop.sock",
        max_message_bytes=5_000,
        origins=("https://a.example",),
        max_sessions_per_process=7,
        idle_timeout_ms=25_000,
        retry="always",
        reorder_ms=11,
        reorder_datagrams=12,
        processes=4,
    )
    quic = quic_rules_of(settings)
    assert (quic.secret, quic.idle_timeout_ms, quic.retry_always, quic.max_connections) == (SECRET, 25_000, True, 14)
    assert quic.connection_ids.processes == 4
    door = door_rules_of(settings)
    assert (door.origins, door.max_sessions) == (frozenset({"https://a.example"}), 7)
    assert (door.session.max_message_bytes, door.session.lane.reorder_ms) == (5_000, 11)
    assert door.session.lane.reorder_datagrams == 12


def test_every_scheme_of_connection_ids_can_be_made(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(16))
    for ids in (
        {},
        {"scheme": "nlb", "server_id": "0x0123456789abcdef"},
        {"scheme": "quic_lb", "server_id": "0011"},
        {"scheme": "quic_lb", "server_id": "0011", "quic_lb_key_file": key},
    ):
        scheme = connection_ids_of(with_ids(tmp_path, **ids))
        made = scheme.make(bytes(range(32))[: scheme.length_bytes])
        assert len(made) == scheme.length_bytes
        assert scheme.process_of(made) == 0


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ({"scheme": "nlb", "server_id": "01"}, "8 bytes"),
        ({"scheme": "nlb"}, "8 bytes"),
        ({"scheme": "nlb", "server_id": "0x012"}, "even number"),
        ({"scheme": "quic_lb"}, "server id"),
    ],
)
def test_connection_ids_that_cannot_be_made_are_refused_with_words(
    tmp_path: Path, ids: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        connection_ids_of(with_ids(tmp_path, **ids))


def test_keys_and_secrets_that_cannot_be_used_are_refused_with_words(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(bytes(15))
    with pytest.raises(ValueError, match="15 bytes"):
        connection_ids_of(with_ids(tmp_path, scheme="quic_lb", server_id="0011", quic_lb_key_file=short))
    with pytest.raises(ValueError, match="No such file"):
        connection_ids_of(with_ids(tmp_path, scheme="quic_lb", server_id="0011", quic_lb_key_file=tmp_path / "none"))
    with pytest.raises(ValueError, match="at least 16"):
        secret_in(short)
    with pytest.raises(ValueError, match="No such file"):
        secret_in(tmp_path / "none")
    short.write_bytes(bytes(16))
    assert secret_in(short) == bytes(16)
