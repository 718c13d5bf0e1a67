"""One region with a WebTransport edge for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.region import start_region
from tests.network.edge_world import EdgeWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

RETRY_ABOVE_HANDSHAKES = 8


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeWorld]:
    """Leave it as it was; its edge process may be killed, and comes back."""
    folder = tmp_path_factory.mktemp("edge-region")
    with start_region(
        folder, "--scripted", "--webtransport", webtransport__retry_above_handshakes=RETRY_ABOVE_HANDSHAKES
    ) as region:
        yield EdgeWorld(region)
