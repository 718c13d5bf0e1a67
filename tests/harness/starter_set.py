"""The starter set of residency rules as it is shipped, and the same with a file changed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import policies.residency
from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.residency.bundles.bundle import Bundle

STARTER = Path(policies.residency.__file__).parent / "starter"
STARTER_NOW_S = seconds_of("2026-12-01T12:00:00Z")
"""An instant at which it is in force, whatever the machine's clock says."""


@cache
def _files() -> Mapping[str, bytes]:
    return {
        str(path.relative_to(STARTER)): path.read_bytes()
        for path in sorted(STARTER.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def starter_files() -> dict[str, bytes]:
    return dict(_files())


@cache
def starter_bundle() -> Bundle:
    return read_bundle(_files())
