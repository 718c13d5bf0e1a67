"""A running lab's addresses and tokens as a file of shell variables, so that commands can be typed as they stand."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

OPERATORS = ("ada", "grace")
"""Two people who may give orders in a lab."""


def write_lab_env(file: Path, ready: dict[str, Any]) -> None:
    """Write what `lab up --json` prints as `export NAME=value` lines, readable by its owner alone.

    `PATCHBAY_URL` and `PATCHBAY_TOKEN` are for `patchbay transcribe`; `PATCHBAY_OPERATOR_TOKEN` is the first
    operator's.
    """
    regions = ready["regions"]
    tokens = ready["operator_tokens"]
    variables = {
        "PATCHBAY_URL": next(iter(regions.values()))["websockets"][0],
        "PATCHBAY_TOKEN": ready["token"],
        "PATCHBAY_OPERATOR_TOKEN": tokens[OPERATORS[0]],
    }
    for name, region in regions.items():
        variables[f"{name.upper()}_URL"] = region["websockets"][0]
        variables[f"{name.upper()}_ADMIN"] = region["admin"][0]
        if "webtransports" in region:
            variables[f"{name.upper()}_WEBTRANSPORT"] = region["webtransports"][0]
            variables[f"{name.upper()}_CERTIFICATE_SHA256"] = region["webtransport_certificate_sha256"]
        variables[f"{name.upper()}_PIDS"] = " ".join(str(pid) for pid in region["processes"].values())
    variables |= {f"{subject.upper()}_TOKEN": token for subject, token in tokens.items()}
    file.touch(mode=0o600)
    file.chmod(0o600)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    file.write_text("".join(lines), encoding="utf-8")
