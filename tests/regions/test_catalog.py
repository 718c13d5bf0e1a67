"""What a region of the catalog is by what is written of it."""

from __future__ import annotations

import pytest

from tests.regions.placement_world import spec

pytestmark = pytest.mark.unit


def test_a_region_without_pools_is_an_edge_site() -> None:
    assert (spec("north").has_engines, spec("north", is_edge=True).has_engines) == (True, False)
