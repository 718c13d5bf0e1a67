"""What a gateway's host does by itself: fetches secrets, brings configuration, enters the targets of QUIC.

The scripts run as they are, with the host's folders in a folder of the test's, and a small program in the place of the
AWS CLI that answers from files.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from tests.harness.terraform import TERRAFORM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

SCRIPTS = TERRAFORM / "modules/region/files"
FUNCTIONS = TERRAFORM / "modules/host_software/functions.sh"

AWS = """#!/bin/bash
# The last argument but those of `secretsmanager` is a place; below $CLOUD everything lies by its name.
case "$1 $2" in
  "secretsmanager get-secret-value") cat "$CLOUD/secrets/$4" ;;
  "s3 cp") cp "$CLOUD/${4#s3://}" "$5" ;;
  "s3 sync") rm -rf "$6"; cp -r "$CLOUD/${5#s3://}" "$6" ;;
  *) exit 1 ;;
esac
"""
DRAINING = (
    "<TargetHealthDescriptions><member><TargetHealth><State>draining</State></TargetHealth></member>"
    "</TargetHealthDescriptions>"
)
INSTALL = """#!/bin/bash
for word in "$@"; do case "$word" in /*) mkdir -p "$word" ;; esac; done
"""


class Host:
    """A host's folders and programs, below `root`."""

    def __init__(self, root: Path) -> None:
        self.etc, self.run_folder, self.cloud = root / "etc/patchbay", root / "run/patchbay", root / "cloud"
        self._programs = root / "bin"
        for folder in (self.etc, self.run_folder, self.cloud / "secrets", self._programs):
            folder.mkdir(parents=True)
        # Who owns a file is not looked at here: the group patchbay is on hosts alone.
        for name, text in {"aws": AWS, "install": INSTALL, "chown": "#!/bin/sh\n"}.items():
            self.program(name, text)
        self.program("patchbay-quic-target", "#!/bin/sh\necho 0x0123456789abcdef\n")
        (self.etc / "functions.sh").write_text(self._at_home(FUNCTIONS.read_text(encoding="utf-8")), encoding="utf-8")

    def says(self, **environment: str) -> None:
        secrets = ("CERTIFICATE", "REGION_LINK", "RESUMPTION", "WEBTRANSPORT", "DECISION_KEY", "GRANT_KEY")
        none = dict.fromkeys([*(f"{name}_SECRET" for name in secrets), "QUIC_TARGET_GROUP"], "")
        told = {**none, "AWS_DEFAULT_REGION": "eu-west-1", **environment}
        (self.etc / "host.env").write_text("".join(f"{name}='{value}'\n" for name, value in told.items()), "utf-8")

    def keeps(self, name: str, text: str) -> None:
        file = self.cloud / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def runs(self, script: str) -> None:
        ran = self.tries(script)
        assert ran.returncode == 0, ran.stderr

    def tries(self, script: str) -> subprocess.CompletedProcess[str]:
        text = self._at_home((SCRIPTS / script).read_text(encoding="utf-8"))
        environment = {**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}", "CLOUD": str(self.cloud)}
        return subprocess.run(
            ["bash", "-c", text], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def program(self, name: str, text: str) -> None:
        file = self._programs / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)

    def _at_home(self, text: str) -> str:
        for place, here in {
            "/etc/patchbay": self.etc,
            "/run/patchbay": self.run_folder,
            "/usr/local/sbin": self._programs,
        }.items():
            text = text.replace(place, str(here))
        return text


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def pair(folder: Path) -> tuple[str, str]:
    """A private key and its certificate, PEM."""
    key, certificate = folder / "pair.key", folder / "pair.crt"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, "-subj", "/CN=host", "-keyout", str(key), "-out", str(certificate)],
        capture_output=True,
        timeout=60,
        check=True,
    )
    return key.read_text(encoding="utf-8"), certificate.read_text(encoding="utf-8")


REDIS = {"REDIS_SECRET": "redis", "REDIS_USER": "gateway", "REDIS_HOST": "redis.example", "REDIS_PORT": "6379"}


def test_secrets_become_files_of_the_group_alone_and_an_environment_that_the_gateway_reads(
    host: Host, tmp_path: Path
) -> None:
    key, certificate = pair(tmp_path)
    host.says(
        **REDIS,
        CERTIFICATE_SECRET="certificate",
        REGION_LINK_SECRET="link",
        WEBTRANSPORT_SECRET="quic",
        QUIC_TARGET_GROUP="arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/q/1",
    )
    host.keeps("secrets/redis", "pass1word")
    host.keeps("secrets/certificate", json.dumps({"certificate": certificate + "\n", "private_key": key.strip()}))
    host.keeps("secrets/link", json.dumps({"certificate": certificate, "private_key": key, "ca": "CA"}))
    host.keeps("secrets/quic", "s" * 32)

    host.runs("secrets.sh")

    files = {file.name: file.read_text(encoding="utf-8") for file in host.run_folder.iterdir()}
    assert {name: text for name, text in files.items() if name != "environment"} == {
        "tls.crt": certificate,
        "tls.key": key,
        "region.crt": certificate,
        "region.key": key,
        "regions-ca.crt": "CA\n",
        "webtransport.secret": "s" * 32 + "\n",
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in host.run_folder.iterdir()} == {0o640}
    assert files["environment"].splitlines() == [
        """PATCHBAY__LIMITS__REDIS__URLS='["rediss://gateway:pass1word@redis.example:6379/0"]'""",
        "PATCHBAY__ENGINES__DISCOVERY__URL='rediss://gateway:pass1word@redis.example:6379/0'",
        "PATCHBAY__WEBTRANSPORT__CONNECTION_IDS__SERVER_ID='0x0123456789abcdef'",
    ]


def test_without_a_certificate_a_host_makes_one_and_keeps_it(host: Host) -> None:
    host.says(**REDIS, HOST_NAME="eu-west.eu.speech.example.com")
    host.keeps("secrets/redis", "pass1word")

    host.runs("secrets.sh")
    first = (host.run_folder / "tls.crt").read_bytes()
    host.runs("secrets.sh")

    assert b"BEGIN CERTIFICATE" in first
    assert (host.run_folder / "tls.crt").read_bytes() == first


def test_a_secret_that_was_filled_wrongly_takes_the_place_of_nothing(host: Host, tmp_path: Path) -> None:
    key, certificate = pair(tmp_path)
    host.says(**REDIS, CERTIFICATE_SECRET="certificate")
    host.keeps("secrets/redis", "pass1word")
    host.keeps("secrets/certificate", json.dumps({"certificate": certificate, "private_key": key}))
    host.runs("secrets.sh")
    _, other_certificate = pair(tmp_path)

    for wrong in (
        {"private_key": key},
        {"certificate": certificate},
        {"certificate": other_certificate, "private_key": key},
    ):
        host.keeps("secrets/certificate", json.dumps(wrong))
        assert host.tries("secrets.sh").returncode != 0

        assert (host.run_folder / "tls.key").read_text(encoding="utf-8") == key
        assert (host.run_folder / "tls.crt").read_text(encoding="utf-8") == certificate


def test_without_its_server_id_a_host_writes_no_environment(host: Host) -> None:
    host.says(**REDIS, QUIC_TARGET_GROUP="arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/q/1")
    host.keeps("secrets/redis", "pass1word")
    host.program("patchbay-quic-target", "#!/bin/sh\nexit 1\n")

    assert host.tries("secrets.sh").returncode != 0

    assert not (host.run_folder / "environment").exists()


def test_a_catalog_that_cannot_be_fetched_leaves_nothing_behind(host: Host) -> None:
    host.says(ARTIFACT_BUCKET="artifacts", HAS_POLICY="no")

    assert host.tries("configuration.sh").returncode != 0

    assert [file.name for file in host.etc.iterdir() if file.name.startswith("catalog")] == []


@pytest.mark.parametrize(("ended_with", "is_tried"), [("64", True), ("1", False)])
def test_a_gateway_that_ended_for_its_settings_is_tried_again(
    host: Host, tmp_path: Path, ended_with: str, is_tried: bool
) -> None:
    host.says(ADMIN_PORT="1")
    host.program(
        "systemctl",
        f"""#!/bin/sh
case "$*" in
  *ActiveState*) echo failed ;;
  *ExecMainStatus*) echo {ended_with} ;;
  *SubState*) echo failed ;;
  *) echo "$*" >> {tmp_path}/told ;;
esac
""",
    )

    host.runs("watch_health.sh")

    told = (tmp_path / "told").read_text(encoding="utf-8") if (tmp_path / "told").exists() else ""
    assert told == ("start --no-block patchbay-gateway\n" if is_tried else "")


def test_a_catalog_that_is_the_same_is_left_alone(host: Host) -> None:
    host.says(ARTIFACT_BUCKET="artifacts", HAS_POLICY="no")
    host.keeps("artifacts/catalog/catalog.toml", "one")
    host.keeps("artifacts/config/plans.toml", "plans")

    host.runs("configuration.sh")
    first = (host.etc / "catalog.toml").stat().st_ino
    host.runs("configuration.sh")
    same = (host.etc / "catalog.toml").stat().st_ino
    host.keeps("artifacts/catalog/catalog.toml", "two")
    host.runs("configuration.sh")

    assert same == first
    assert (host.etc / "catalog.toml").read_text(encoding="utf-8") == "two"
    assert (host.etc / "config/plans.toml").read_text(encoding="utf-8") == "plans"


def test_another_policy_bundle_takes_the_place_of_the_first_in_one_step(host: Host, tmp_path: Path) -> None:
    host.says(ARTIFACT_BUCKET="artifacts", HAS_POLICY="yes")
    host.keeps("artifacts/catalog/catalog.toml", "one")

    read = []
    for text in ("first", "first", "second"):
        (tmp_path / "policy.toml").write_text(text, encoding="utf-8")
        host.keeps("artifacts/config/policy.tar.gz", "")
        with tarfile.open(host.cloud / "artifacts/config/policy.tar.gz", "w:gz") as bundle:
            bundle.add(tmp_path / "policy.toml", "policy.toml")
        host.runs("configuration.sh")
        read.append((host.etc / "policy/policy.toml").read_text(encoding="utf-8"))

    assert read == ["first", "first", "second"]
    assert (host.etc / "policy").is_symlink()


class Elsewhere(ThreadingHTTPServer):
    """A metadata service that wants tokens, and a load balancer's API that writes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_PUT(self) -> None:
        self._answer("a-token")

    def do_GET(self) -> None:
        has_token = self.headers["X-aws-ec2-metadata-token"] == "a-token"
        self._answer("i-0123456789abcdef0" if has_token else "", code=200 if has_token else 401)

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append({name: values[0] for name, values in body.items()})
        action = body["Action"][0]
        result = DRAINING if action == "DescribeTargetHealth" else ""
        self._answer(f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what is asked stands in `asked`."""

    def _answer(self, text: str, *, code: int = 200) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture(name="elsewhere")
def _elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=10)


def quic_target(elsewhere: Elsewhere, command: str, *, path: str = os.environ["PATH"]) -> str:
    environment = {
        **os.environ,
        "PATH": path,
        "METADATA": elsewhere.url,
        "AWS_ENDPOINT_URL": elsewhere.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "QUIC_TARGET_GROUP": "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/q/1",
        "QUIC_PORT": "4433",
    }
    script = [sys.executable, str(SCRIPTS / "quic_target.py"), command]
    return subprocess.run(
        script, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


@pytest.mark.parametrize(("state", "asked"), [("failed", 0), ("activating", 0), ("active", 2)])
def test_a_host_whose_gateway_fell_stays_a_target(
    elsewhere: Elsewhere, host: Host, state: str, asked: int, tmp_path: Path
) -> None:
    host.program("systemctl", f"#!/bin/sh\necho {state}\n")

    quic_target(elsewhere, "leave", path=f"{tmp_path}/bin:{os.environ['PATH']}")

    assert len(elsewhere.asked) == asked


def test_a_host_enters_the_targets_of_quic_with_a_server_id_and_leaves_them_again(elsewhere: Elsewhere) -> None:
    server_id = quic_target(elsewhere, "server-id")
    quic_target(elsewhere, "enter")
    quic_target(elsewhere, "leave")

    entered, left, looked = elsewhere.asked
    assert re.fullmatch("0x[0-9a-f]{16}", server_id)
    assert entered["Action"] == "RegisterTargets"
    assert entered["Targets.member.1.Id"] == "i-0123456789abcdef0"
    assert entered["Targets.member.1.Port"] == "4433"
    assert entered["Targets.member.1.QuicServerId"] == server_id
    assert (left["Action"], looked["Action"]) == ("DeregisterTargets", "DescribeTargetHealth")
