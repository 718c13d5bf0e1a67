"""Terraform for tests: where it and its providers are found, and a root module that is planned, applied and destroyed.

A provider of 700 MB is linked from a plugin directory, never copied. The modules are copied, so that a root's state and
links lie in a folder of the test's own, and an environment's state in no bucket.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
PLUGIN_VARIABLE = "PATCHBAY_TERRAFORM_PLUGINS"
_AWS = "*/hashicorp/aws"
"""Below the host of any registry."""
_COMMAND_S = 600.0


class TerraformFailed(AssertionError):
    """It ended with another code than 0; the text is what it printed."""


@cache
def plugin_directory() -> Path | None:
    """The folder with the AWS provider, laid out as `terraform providers mirror` does; None: there is none here."""
    named = os.environ.get(PLUGIN_VARIABLE)
    usual = [
        Path.home() / ".terraform.d/plugins",
        Path("/usr/local/share/terraform/plugins"),
        Path("/usr/share/terraform/plugins"),
        *sorted(Path("/opt").glob("*plugins*")),
        *sorted(Path("/opt").glob("*/plugins")),
    ]
    for folder in [Path(named)] if named else usual:
        if any(folder.glob(f"{_AWS}/*/*/terraform-provider-aws*")) or any(folder.glob(f"{_AWS}/*.zip")):
            return folder
    return None


@cache
def is_set_up() -> bool:
    """Whether Terraform and the real AWS provider are here, without asking a registry for one."""
    return shutil.which("terraform") is not None and plugin_directory() is not None


class Terraform:
    """A copy of a root module.

    Args:
        root: the folder with its .tf files, from the repository's own.
        work: an empty folder, for the copy, its state, plans and links to providers.
        endpoint: of what stands in for AWS; empty: there is nothing.
        variables: of its environment, such as `TF_VAR_name`.
    """

    def __init__(
        self, root: str, work: Path, *, endpoint: str = "", variables: Mapping[str, str] | None = None
    ) -> None:
        for folder in ("terraform", "tests/terraform/roots"):
            if (ROOT / folder).is_dir():
                shutil.copytree(
                    ROOT / folder, work / folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
                )
        self.root = work / root
        self._work = work
        (self.root / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n', encoding="utf-8")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))},
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_DATA_DIR": str(work / "data"),
            "CHECKPOINT_DISABLE": "1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            **({"AWS_ENDPOINT_URL": endpoint} if endpoint else {}),
            **(variables or {}),
        }

    def init(self) -> None:
        """Raises TerraformFailed."""
        folder = plugin_directory()
        plugins = [] if folder is None else [f"-plugin-dir={folder}"]
        self._run("init", "-no-color", *plugins)

    def validate(self) -> list[str]:
        """Each mistake and warning, as Terraform says it."""
        said = self._run("validate", "-json", "-no-color", codes=(0, 1))
        found = json.loads(said)["diagnostics"]
        return [f"{entry['severity']}: {entry['summary']}: {entry.get('detail', '')}" for entry in found]

    def refused(self, **variables: object) -> str:
        """What a plan with these variables says against them. Raises AssertionError: it says nothing against them."""
        completed = self._start("plan", "-no-color", *_options(variables))
        assert completed.returncode == 1, completed.stdout
        return " ".join(completed.stderr.replace("│", " ").split())

    def plan(self, **variables: object) -> dict[str, Any]:
        """The plan as `terraform show -json` says it. Raises TerraformFailed."""
        file = self._work / "plan"
        self._run("plan", "-no-color", f"-out={file}", *_options(variables))
        shown: dict[str, Any] = json.loads(self._run("show", "-json", str(file)))
        return shown

    def apply(self, **variables: object) -> str:
        """Raises TerraformFailed."""
        return self._run("apply", "-auto-approve", "-no-color", *_options(variables))

    def destroy(self, **variables: object) -> str:
        """Raises TerraformFailed."""
        return self._run("destroy", "-auto-approve", "-no-color", *_options(variables))

    def resources(self) -> list[str]:
        """Addresses of what the state has, data left out."""
        said = self._run("state", "list", codes=(0, 1))
        return [line for line in said.splitlines() if line and "data." not in line]

    def waits_for(self, address: str) -> set[str]:
        """Addresses of all that is there before a resource is made, without keys of instances."""
        edges = self._graph
        found: set[str] = set()
        ahead = [f"{address} (expand)"]
        assert ahead[0] in edges, address
        while ahead:
            ahead += (new := edges.get(ahead.pop(), set()) - found)
            found |= new
        return {name.removesuffix(" (expand)") for name in found}

    @cached_property
    def _graph(self) -> dict[str, set[str]]:
        """What each node of a plan's graph waits for."""
        edges: dict[str, set[str]] = {}
        for waiting, first in re.findall(r'"\[root\] (.+?)" -> "\[root\] (.+?)"', self._run("graph", "-type=plan")):
            edges.setdefault(waiting, set()).add(first)
        return edges

    def outputs(self) -> dict[str, Any]:
        """Values by name."""
        said = json.loads(self._run("output", "-json"))
        return {name: output["value"] for name, output in said.items()}

    def _run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        completed = self._start(*arguments)
        if completed.returncode not in codes:
            raise TerraformFailed(f"terraform {' '.join(arguments)}\n{completed.stdout}\n{completed.stderr}")
        return completed.stdout

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", f"-chdir={self.root}", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )


def _options(variables: Mapping[str, object]) -> list[str]:
    return [
        f"-var={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in variables.items()
    ]
