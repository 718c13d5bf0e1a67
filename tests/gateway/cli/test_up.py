"""`patchbay up`: one line or one table when all is ready; else one sentence, an exit code, and nothing left running."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from engines.server.options import EMBEDDED_MODEL
from gateway.dev_certificates import create_or_renew
from gateway.running_regions import newest
from tests.harness.command import patchbay
from tests.harness.next_version import write_next_version
from tests.harness.ports import free_ports
from tests.harness.region import PATCHBAY, environment_of, is_gone, start_region

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.command import Outcome

pytestmark = pytest.mark.integration


def refused(folder: Path, *arguments: str, **environment: str) -> Outcome:
    """Run `up`, which must not start; nothing of it may be left."""
    outcome = patchbay(folder, "up", "--json", "--scripted", *arguments, **environment)
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert newest(folder / "state" / "patchbay") is None
    assert [process.pid for process in _of_folder(folder)] == []
    return outcome


def _of_folder(folder: Path) -> Iterator[psutil.Process]:
    """Processes whose state is kept in this folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("XDG_STATE_HOME") == str(folder / "state"):
                yield process


def udp_port(number: int) -> socket.socket:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", number))
    return taken


def port_of(address: str) -> int:
    return int(address.removesuffix("/metrics").rpartition(":")[2])


@contextlib.contextmanager
def ready_of(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """The ready line of a region that runs meanwhile; without `--port`, which `start_region` always gives."""
    with subprocess.Popen(
        [str(PATCHBAY), "up", "--json", "--scripted", *arguments],
        env=environment_of(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


# --- what does not start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "name"), [(0, "http"), (1, "grpc"), (2, "admin"), (3, "webtransport")])
def test_a_port_that_is_taken_is_69_and_named(tmp_path: Path, offset: int, name: str) -> None:
    port = free_ports(4)
    with udp_port(port + 3) if offset == 3 else socket.create_server(("127.0.0.1", port + offset)):
        outcome = refused(tmp_path, "--port", str(port))
    assert outcome.exit_code == 69
    assert f"cannot listen for {name} on 127.0.0.1:{port + offset}: " in outcome.err


def test_a_settings_file_that_is_not_there_is_64(tmp_path: Path) -> None:
    outcome = refused(tmp_path, "--config", str(tmp_path / "none.toml"))
    assert (outcome.exit_code, outcome.err) == (64, f"wrong setting: {tmp_path}/none.toml: No such file or directory\n")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"region = ", b'region = "EU 1"\n[sessions]\nbogus = 1\n', b"tokens = 3"]
)
def test_wrong_settings_are_64_with_every_mistake_and_nothing_was_started(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gateway.toml").write_bytes(content)
    outcome = refused(tmp_path, "--config", str(tmp_path / "gateway.toml"))
    assert outcome.exit_code == 64
    assert all(line.startswith("wrong setting: ") for line in outcome.err.splitlines())
    assert len(outcome.err.splitlines()) == (2 if b"bogus" in content else 1)
    assert not (tmp_path / "state" / "patchbay" / "up.log").exists()


@pytest.mark.parametrize("port", ["-1", "65534", "soon"])
def test_a_port_that_cannot_be_is_64(tmp_path: Path, port: str) -> None:
    assert refused(tmp_path, "--port", port).exit_code == 64


def test_a_key_that_others_may_read_is_64(tmp_path: Path) -> None:
    patchbay(tmp_path, "token")
    (tmp_path / "state" / "patchbay" / "dev-key.pem").chmod(0o644)
    outcome = refused(tmp_path, "--port", "0")
    assert outcome.exit_code == 64
    assert "chmod 600" in outcome.err


def test_a_log_that_cannot_be_written_is_70(tmp_path: Path) -> None:
    outcome = refused(tmp_path, "--port", "0", "--log-file", str(tmp_path))
    assert outcome.exit_code == 70
    assert str(tmp_path) in outcome.err


# --- what does ------------------------------------------------------------------------------------------------------


def test_the_ports_are_the_one_given_and_the_next_three(tmp_path: Path) -> None:
    port = free_ports(4)
    with ready_of(tmp_path, "--port", str(port)) as ready:
        addresses = [ready[name] for name in ("http", "grpc", "metrics")]
        assert [port_of(address) for address in addresses] == [port, port + 1, port + 2]
        assert ready["webtransport"] == f"https://127.0.0.1:{port + 3}/v1/stream"
        shown = create_or_renew(tmp_path / "state" / "patchbay")
        assert ready["webtransport_certificate_sha256"] == shown.sha256_hex


def test_two_at_once_are_two_regions_and_each_ends_alone(tmp_path: Path) -> None:
    """With one state folder, as two terminals of one user have."""
    with start_region(tmp_path, "--scripted") as first, start_region(tmp_path, "--scripted") as second:
        assert first.token() != ""
        ports = {port_of(address) for region in (first, second) for address in (region.http, region.grpc)}
        assert len(ports) == 4
        assert "webtransport" not in first.ready, "it was told `--no-webtransport`"
        assert newest(first.state) == second.ready
        assert second.stop() == 0
        assert newest(first.state) == first.ready
        assert first.is_alive()


def test_a_second_one_on_the_same_port_leaves_the_first_alone(tmp_path: Path) -> None:
    with start_region(tmp_path, "--scripted") as first:
        outcome = patchbay(tmp_path, "up", "--json", "--scripted", "--port", str(first.http_port))
        assert outcome.exit_code == 69
        assert newest(first.state) == first.ready
        assert not is_gone(first.ready["gateway_pid"])


def test_several_models_may_be_given_and_more_loaded_from_a_folder(tmp_path: Path) -> None:
    path = write_next_version(tmp_path / "models")
    models = ("--model", str(EMBEDDED_MODEL), "--model", str(path))
    with start_region(tmp_path, *models, "--model-folder", str(path.parent), "--slots", "4") as region:
        rows = patchbay(region.folder, "models", "list", "--engine", "0", "--json").json
        again = patchbay(region.folder, "models", "load", str(path))
        elsewhere = patchbay(region.folder, "models", "load", str(EMBEDDED_MODEL))
    assert [(row["name"], row["slots_laid_out"]) for row in rows] == [("embedded", 4), ("embedded", 4)]
    assert len({row["version"] for row in rows}) == 2
    assert (again.exit_code, again.err.split(":")[0]) == (65, "already_exists")
    assert (elsewhere.exit_code, elsewhere.err.split(":")[0]) == (77, "permission_denied")


def test_stopping_is_exit_0_and_leaves_no_process(tmp_path: Path) -> None:
    region = start_region(tmp_path, "--scripted", "--engines", "2")
    assert region.stop() == 0
    assert [process.pid for process in _of_folder(tmp_path)] == []


def test_the_settings_file_says_where_to_listen_unless_the_command_line_does(tmp_path: Path) -> None:
    port = free_ports(4)
    config = tmp_path / "gateway.toml"
    pair = create_or_renew(tmp_path)
    tls = f'certificate_file = "{pair.certificate_file}", key_file = "{pair.key_file}"'
    config.write_text(
        f'region = "eu-1"\n[http]\nport = {port}\n[grpc]\nport = {port + 1}\n[admin]\nport = {port + 2}\n'
        f"[webtransport]\nport = {port + 3}\ntls = {{ {tls} }}\n"
    )
    with ready_of(tmp_path, "--config", str(config)) as ready:
        assert [port_of(ready[name]) for name in ("http", "grpc", "metrics")] == [port, port + 1, port + 2]
        assert ready["webtransport"] == f"https://127.0.0.1:{port + 3}/v1/stream"
        assert ready["webtransport_certificate_sha256"] == pair.sha256_hex
    with start_region(tmp_path, "--scripted", "--config", str(config), "--port", "0") as region:
        assert port_of(region.http) != port
        assert [row["region"] for row in region.events("gateway.ready")] == ["eu-1"]


def test_issuers_of_its_own_take_the_place_of_the_development_key(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(
        'tokens = { issuers = [{ issuer = "a", audience = "b", algorithms = ["HS256"], '
        'shared_secrets = [{ kid = "k", value = "canary-canary-canary-canary-canary" }] }] }\n'
    )
    with start_region(tmp_path, "--scripted", "--config", str(config)) as region:
        outcome = patchbay(tmp_path, "transcribe", "-", "--json", PATCHBAY_TOKEN=region.token())
        assert outcome.exit_code == 77
        assert "canary" not in region.log_text()


def test_other_settings_of_tokens_leave_the_development_key_trusted(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("[tokens]\nleeway_s = 5\n")
    with start_region(tmp_path, "--scripted", "--config", str(config)):
        assert patchbay(tmp_path, "transcribe", "-", "--json").exit_code == 0
