"""What README and docs/ show can be done as it stands there: every block of sh, python and toml is run or loaded.

A comment before a block says in which surroundings:

  <!-- test: plain -->                             a copy of the repository's folder, nothing running
  <!-- test: region -->                            the same, beside a running region and with a token for it
  <!-- test: own region -->                        with a region that it may harm; $ENGINE_PID is its engine, which may
                                                   load the model in /srv/models/next
  <!-- test: lab -->                               a copy of the repository's folder with the lab.env of three regions
                                                   that run; what a block kills is dead for those after it
  <!-- test: guide -->                             beside the example settings; the blocks of a page run one after the
                                                   other in one folder, as their reader runs them
  <!-- test: serves -->                            runs until it gets SIGTERM; it must become ready, then end with 0
  <!-- test: serves with the example settings -->  the same, with the example of docs/configuration.md in /etc/patchbay
  <!-- test: example settings -->                  that example lies in /etc/patchbay; nothing running
  <!-- test: complete settings -->                 toml: it is loaded as it is
  <!-- test: plans -->                             toml: it is loaded as a plans file; beside the example settings it is
                                                   /etc/patchbay/plans.toml
  <!-- test: catalog -->                           toml: it is loaded as a catalog of regions; beside the example
                                                   settings it is /etc/patchbay/catalog.toml
  <!-- test: drill -->                             toml: it is checked as a drill file
  <!-- test: scenario -->                          toml: it is checked as a scenario, beside the example of a catalog
  <!-- test: fragment -->                          toml: it is loaded over the least settings that a gateway needs
  <!-- prints: … -->                               and its output contains this
  <!-- needs: … -->                               and it is skipped where this program is not installed
  <!-- not run: … -->                              it is not run, for one of the reasons below

Documented ports and folders are replaced by free ones, so that the tests run beside a region of the machine's own.
"""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.decision_log.signing import create_signing_key
from gateway.errors import ClientFault
from gateway.limits.plans_file import read_plans
from gateway.settings import GatewaySettings, load, validate
from gateway.wire.codec import decode_client, decode_server
from regions.catalog_file import read_catalog
from regions.lab.drill_file import check_drill
from regions.simulator.scenario_file import check_scenario
from tests.docs.pages import ROOT, Block, all_blocks
from tests.harness.next_version import write_next_version
from tests.harness.region import PATCHBAY, environment_of
from tests.harness.starter_set import starter_files
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.region import Region

pytestmark = pytest.mark.integration

NOT_RUN_BECAUSE = {
    "sets up the machine",
    "needs systemd",
    "needs a microphone",
    "needs a Triton server",
    "needs a GPU",
    "needs an AWS account",
}
"""Reasons for which a block is not run. Think twice before adding one: what is not run does not stay true."""

SERVES = ("serves", "serves with the example settings")
RUN_S = 120.0
LEAST_SETTINGS: dict[str, Any] = {
    "engines": {"addresses": ["unix:/run/patchbay/engine-0.sock"]},
    "tokens": {"issuers": [{"issuer": "i", "audience": "a", "jwks_url": "https://login.example.com/jwks.json"}]},
}


def of(*surroundings: str) -> list[Any]:
    """The blocks of sh and python with these surroundings, as parameters."""
    found = [block for block in all_blocks("sh", "python") if block.surroundings in surroundings]
    return [pytest.param(block, id=block.place) for block in found]


def tomls(surroundings: str) -> list[Any]:
    found = [block for block in all_blocks("toml") if (block.surroundings or "fragment") == surroundings]
    return [pytest.param(block, id=block.place) for block in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Looks like the repository, and what a block writes into it is thrown away."""
    looks_like_it = tmp_path / "patchbay"
    looks_like_it.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in (".git", ".venv"):
            (looks_like_it / entry.name).symlink_to(entry)
    for name in ("etc", "run", "var"):
        (tmp_path / name).mkdir()
    return looks_like_it


@pytest.fixture
def example_settings(folder: Path) -> Path:
    """The complete example, with a certificate, where the docs say it lies."""
    etc = folder.parent / "etc"
    (example,) = [block for block in all_blocks("toml") if block.surroundings == "complete settings"]
    text = example.code
    for port in ("8080", "8081", "8082", "4433"):
        text = text.replace(f"port = {port}", "port = 0")
    # Nobody is to be asked for keys, or given traces, by a test.
    text = text.replace("https://login.example.com/.well-known", "http://127.0.0.1:9").replace("4317", "9")
    (etc / "gateway.toml").write_text(moved(text, folder), encoding="utf-8")
    (plans,) = [block for block in all_blocks("toml") if block.surroundings == "plans"]
    (etc / "plans.toml").write_text(plans.code, encoding="utf-8")
    (catalog,) = [block for block in all_blocks("toml") if block.surroundings == "catalog"]
    (etc / "catalog.toml").write_text(catalog.code, encoding="utf-8")
    certificate, key = certificate_and_key()
    (etc / "tls.crt").write_bytes(certificate)
    (etc / "tls.key").write_bytes(key)
    create_signing_key(etc / "decisions.key")
    return etc / "gateway.toml"


def moved(code: str, folder: Path) -> str:
    """The documented folders are those of this test."""
    places = {"/etc/patchbay": "etc", "/run/patchbay": "run", "/var/lib/patchbay": "var", "/srv/models": "models"}
    for documented, actual in places.items():
        code = code.replace(documented, str(folder.parent / actual))
    return code


def moved_ports(code: str, region: Region) -> str:
    """The documented ports are those of this region."""
    grpc_port, admin_port = region.grpc.rpartition(":")[2], region.admin.rpartition(":")[2]
    for documented, actual in (("8080", str(region.http_port)), ("8081", grpc_port), ("8082", admin_port)):
        code = code.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{actual}")
    return code


def certificate_and_key() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def command_of(block: Block, code: str) -> list[str]:
    if block.language == "python":
        return [sys.executable, "-c", code]
    return ["bash", "-euo", "pipefail", "-c", code]


def surroundings_of(state_of: Path) -> dict[str, str]:
    environment = environment_of(state_of)
    return environment | {"PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{environment['PATH']}"}


def run(block: Block, code: str, folder: Path, environment: dict[str, str]) -> None:
    """Run a block to its end; it must succeed and print what is promised."""
    for program in block.needs:
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed; scripts/setup.sh installs what documented commands need")
    done = subprocess.run(
        command_of(block, moved(code, folder)),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for promised in block.prints:
        assert promised in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("block", of("plain"))
def test_a_documented_command_works(block: Block, folder: Path) -> None:
    run(block, block.code, folder, surroundings_of(folder.parent))


@pytest.mark.parametrize("block", of("example settings"))
def test_a_documented_command_works_with_the_example_settings(
    block: Block, folder: Path, example_settings: Path
) -> None:
    run(block, block.code, folder, surroundings_of(folder.parent))


@pytest.mark.parametrize(
    "page", sorted({block.page.name for block in all_blocks("sh") if block.surroundings == "guide"})
)
def test_a_guide_can_be_followed_from_its_first_block_to_its_last(
    page: str, folder: Path, example_settings: Path
) -> None:
    for block in all_blocks("sh"):
        if block.surroundings == "guide" and block.page.name == page:
            run(block, block.code, folder, surroundings_of(folder.parent))


@pytest.mark.parametrize("language", ["cedar", "yaml"])
def test_a_documented_rule_or_scenario_is_one_of_the_starter_set(language: str) -> None:
    starter = "\n".join(data.decode() for data in starter_files().values())
    blocks = [block for block in all_blocks(language) if block.page.name == "compliance.md"]
    assert blocks
    assert [block.place for block in blocks if block.code not in starter] == []


@pytest.mark.parametrize("block", of("region"))
def test_a_documented_program_works_with_a_region(block: Block, folder: Path, region: Region) -> None:
    run(block, moved_ports(block.code, region), folder, beside(region))


@pytest.mark.parametrize("block", of("own region"))
def test_a_documented_command_may_harm_its_own_region(
    block: Block, folder: Path, new_region: Callable[..., Region]
) -> None:
    models = folder.parent / "models"
    write_next_version(models)
    long = {"sessions__recovery__timeout_ms": 60_000, "sessions__opening_timeout_ms": 30_000}
    region = new_region("--model-folder", str(models), **long)
    run(
        block,
        moved_ports(block.code, region),
        folder,
        beside(region) | {"ENGINE_PID": str(region.engine_pids[0])},
    )


@pytest.fixture(scope="module")
def lab_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `lab up --env` wrote about a lab that runs."""
    place = tmp_path_factory.mktemp("lab")
    file = place / "lab.env"
    with (place / "said").open("w+b") as said:
        lab = subprocess.Popen(
            [str(PATCHBAY), "lab", "up", "--regions", "3", "--env", str(file)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            until_sync(lambda: is_ready(place) or lab.poll() is not None, within_s=120, what="the lab")
            yield file
        finally:
            lab.send_signal(signal.SIGTERM)
            try:
                lab.wait(30)
            finally:
                lab.kill()
                lab.wait()


@pytest.mark.parametrize("block", of("lab"))
def test_a_documented_command_works_with_a_lab(block: Block, folder: Path, lab_env: Path) -> None:
    (folder / "lab.env").write_text(lab_env.read_text(encoding="utf-8"), encoding="utf-8")
    run(block, block.code, folder, surroundings_of(folder.parent))


def beside(region: Region) -> dict[str, str]:
    return surroundings_of(region.folder) | {"PATCHBAY_TOKEN": region.token(), "UP_LOG": str(region.log_file)}


@pytest.mark.parametrize("block", of(*SERVES))
def test_a_documented_server_becomes_ready_and_drains(
    block: Block, folder: Path, request: pytest.FixtureRequest
) -> None:
    if block.surroundings == "serves with the example settings":
        request.getfixturevalue("example_settings")
    code = moved(block.code, folder).strip()
    if code.startswith("patchbay up") and "--port" not in code:
        code += " --port 0"
    assert "\n" not in code, "one command, so that the shell becomes it"
    with (folder / "said").open("w+b") as said:
        server = subprocess.Popen(
            command_of(block, code),
            cwd=folder,
            env=surroundings_of(folder.parent),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until_sync(lambda: is_ready(folder) or server.poll() is not None, within_s=60, what="the ready line")
            server.send_signal(signal.SIGTERM)
            exit_code = server.wait(30)
        finally:
            server.kill()
            server.wait()
    text = (folder / "said").read_text(encoding="utf-8")
    assert exit_code == 0, text
    assert is_ready(folder), text


def is_ready(folder: Path) -> bool:
    """By the ready line, which has an address, or by the table for people."""
    text = (folder / "said").read_text(encoding="utf-8")
    return any(mark in text for mark in ('{"address": ', '{"http": ', "Stop it: Ctrl-C", "Stop them: Ctrl-C"))


@pytest.mark.parametrize("block", tomls("complete settings"))
def test_a_complete_example_of_settings_is_loaded(block: Block, example_settings: Path) -> None:
    settings = load(example_settings, {})
    written = tomllib.loads(block.code)
    assert settings.region == written["region"]
    # What is for several regions has an example of its own beside it; that of lending is in docs/limits.md.
    (beside,) = (
        tomllib.loads(each.code)
        for each in all_blocks("toml")
        if each.surroundings == "fragment" and each.page == block.page
    )
    expected = GatewaySettings.model_fields.keys() - {"audio", "escrow"}
    assert expected <= set(written) | set(beside), "complete means complete"


@pytest.mark.parametrize("block", tomls("drill"))
def test_a_drill_is_a_good_one(block: Block) -> None:
    assert check_drill(tomllib.loads(block.code)).summary


@pytest.mark.parametrize("block", tomls("scenario"))
def test_a_scenario_is_a_good_one(block: Block, example_settings: Path) -> None:
    assert check_scenario(tomllib.loads(block.code), beside=example_settings.parent).variations


@pytest.mark.parametrize("block", tomls("fragment"))
def test_a_fragment_of_settings_is_loaded(block: Block, folder: Path, example_settings: Path) -> None:
    assert example_settings.is_file(), "with its certificate beside it"
    validate(LEAST_SETTINGS | tomllib.loads(moved(block.code, folder)))


def test_the_example_of_plans_is_good_and_without_warnings(example_settings: Path) -> None:
    assert read_plans(example_settings.with_name("plans.toml")).warnings == []


def test_the_example_of_a_catalog_is_good_and_without_warnings(example_settings: Path) -> None:
    assert read_catalog(example_settings.with_name("catalog.toml")).warnings == ()


def test_every_block_is_run_or_says_why_not() -> None:
    known = {"plain", "guide", "region", "own region", "lab", "example settings", *SERVES}
    strays = [
        block.place
        for block in all_blocks("sh", "python")
        if (block.surroundings in known) == bool(block.why_not) or (block.why_not and block.prints)
    ]
    assert strays == []


def test_reasons_for_not_running_a_block_are_those_agreed_on() -> None:
    reasons = {block.why_not for block in all_blocks("sh", "python", "toml")} - {""}
    assert reasons == NOT_RUN_BECAUSE


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, id=block.place) for block in all_blocks("json") if block.page.name == "protocol.md"],
)
def test_a_documented_message_is_one_of_the_protocol(block: Block) -> None:
    try:
        decode_client(block.code)
    except ClientFault:
        decode_server(block.code)
