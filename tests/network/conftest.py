"""One region with a WebTransport edge for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.region import start_region
from tests.network.edge_world import EdgeWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

RETRY_ABOVE_HANDSHAKES = 8
REORDER_MS = 400
"""More than the relay is ever late on a busy machine: what counts as lost is what it dropped."""


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeWorld]:
    """Leave it as it was; its edge process may be killed, and comes back."""
    folder = tmp_path_factory.mktemp("edge-region")
    settings = {"retry_above_handshakes": RETRY_ABOVE_HANDSHAKES, "reorder_ms": REORDER_MS}
    over = {f"webtransport__{name}": value for name, value in settings.items()}
    with start_region(folder, "--scripted", "--webtransport", **over) as region:
        yield EdgeWorld(region)
