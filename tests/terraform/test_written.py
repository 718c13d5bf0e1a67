"""What stands in terraform/ as it is written: exceptions have reasons, modules say what their values are, and nothing
is there that belongs to one machine.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness.terraform import ROOT, TERRAFORM

pytestmark = pytest.mark.unit

MODULES = sorted(folder for folder in (TERRAFORM / "modules").iterdir() if folder.is_dir())
LEAST_REASON_CHARS = 20


def written(suffix: str) -> list[Path]:
    return [path for path in sorted(TERRAFORM.rglob(f"*{suffix}")) if ".terraform" not in path.parts]


def test_every_exception_of_checkov_stands_beside_its_resource_with_a_reason() -> None:
    exceptions = [
        (path.relative_to(ROOT), line.strip())
        for path in written(".tf")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "checkov" in line
    ]

    bare = [
        (path, line)
        for path, line in exceptions
        if not (found := re.fullmatch(r"#\s?checkov:skip=(CKV2?_AWS_\d+|CKV_\w+):(.+)", line))
        or len(found[2]) < LEAST_REASON_CHARS
    ]

    assert exceptions
    assert bare == []


def test_nothing_is_excepted_for_all_resources_at_once() -> None:
    script = (ROOT / "scripts" / "terraform_check.sh").read_text(encoding="utf-8")

    assert "--skip-check" not in script
    assert "--soft-fail" not in script
    assert list(ROOT.glob(".checkov*")) == []
    assert list(TERRAFORM.rglob(".checkov*")) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda folder: folder.name)
def test_a_module_says_of_each_value_what_it_is(module: Path) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(module.glob("*.tf")))

    blocks = re.findall(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', text, flags=re.MULTILINE | re.DOTALL)
    silent = [f"{kind} {name}" for kind, name, body in blocks if "description" not in body]
    untyped = [name for kind, name, body in blocks if kind == "variable" and not re.search(r"^\s+type\s+=", body, re.M)]

    assert blocks
    assert silent == []
    assert untyped == []


@pytest.mark.parametrize("module", MODULES, ids=lambda folder: folder.name)
def test_a_module_brings_no_provider_of_its_own(module: Path) -> None:
    for path in module.glob("*.tf"):
        assert not re.search(r"^(provider|backend) ", path.read_text(encoding="utf-8"), flags=re.MULTILINE), path


def test_environments_use_every_module_that_is_here() -> None:
    used = set(
        re.findall(r'source\s+=\s+"(?:\.\./)+(?:modules/)?(\w+)"', "".join(p.read_text() for p in written(".tf")))
    )

    assert used == {module.name for module in MODULES}


def test_staging_and_production_are_the_same_but_for_their_values() -> None:
    environments = TERRAFORM / "environments"
    files = {path.name for path in (environments / "production").glob("*.tf")}

    assert {path.name for path in (environments / "staging").glob("*.tf")} == files
    for name in files:
        assert (environments / "staging" / name).resolve() == environments / "production" / name


def test_no_key_password_or_account_of_anybody_is_written_down() -> None:
    for path in [*written(".tf"), *written(".tfvars"), *written(".example"), *written(".tftpl"), *written(".sh")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bAKIA[0-9A-Z]{16}\b", text), path
        assert "PRIVATE KEY-----" not in text or "BEGIN" not in text, path
        assert set(re.findall(r"\b\d{12}\b", text)) <= {"123456789012", "000000000000"}, path


def test_nothing_is_written_that_would_put_a_password_into_a_state() -> None:
    """Terraform keeps what such arguments and data are given. CloudFormation looks passwords up by itself."""
    arguments = r"^\s*(passwords?|auth_token|secret_string)\s*="
    data = r"data \"aws_secretsmanager_(secret_version|random_password)\""
    keepers = f"{arguments}|{data}"

    found = [path for path in written(".tf") if re.search(keepers, path.read_text(encoding="utf-8"), re.MULTILINE)]

    assert found == []
