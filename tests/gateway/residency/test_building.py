"""From settings to who decides; what cannot be used is told with the setting that it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.policy_sets import CatalogPolicySets
from gateway.decision_log.interface import NoDecisionLog
from gateway.residency.building import ResidencyRefused, bundle_in_force, residency, trust_of
from gateway.residency.metrics import ResidencyMetrics
from gateway.residency.policy_sets import BundlePolicySets
from gateway.residency.settings import ResidencySettings
from regions.catalog import Catalog
from tests.harness.residency_bundle import residency_files
from tests.harness.residency_folder import Approvers, written

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.residency.building import Residency

pytestmark = pytest.mark.unit

ALWAYS = {"issued_at": "2020-01-01T00:00:00Z", "expires_at": "2100-01-01T00:00:00Z"}


def built(settings: ResidencySettings | None) -> Residency:
    return residency(settings, region="eu-west-1", catalog=Catalog, registry=CollectorRegistry())


def mistakes_of(settings: ResidencySettings) -> list[str]:
    with pytest.raises(ResidencyRefused) as refused:
        built(settings)
    return refused.value.mistakes


def test_without_a_bundle_lists_decide() -> None:
    for settings in (None, ResidencySettings(default=("eu-west-1",))):
        found = built(settings)
        assert (type(found.policies), found.in_force) == (CatalogPolicySets, None)


async def test_a_signed_bundle_decides_in_production(tmp_path: Path) -> None:
    approvers = Approvers("ada", "grace")
    keys = approvers.keys_in(tmp_path / "keys")
    settings = ResidencySettings(
        bundle=written(tmp_path / "bundle", approvers.signed(residency_files(**ALWAYS))),
        approvers={name: keys / f"{name}.pub" for name in approvers.public},
        last_good_directory=tmp_path / "kept",
    )
    found = built(settings)
    assert isinstance(found.policies, BundlePolicySets)
    assert found.in_force is not None
    assert (tmp_path / "kept" / "current").exists()


def test_an_unsigned_bundle_and_keys_that_are_none_are_told(tmp_path: Path) -> None:
    keys = Approvers("ada", "grace").keys_in(tmp_path / "keys")
    folder = written(tmp_path / "bundle", residency_files(**ALWAYS))
    approvers = {name: keys / f"{name}.pub" for name in ("ada", "grace")}
    (mistake,) = mistakes_of(ResidencySettings(bundle=folder, approvers=approvers))
    assert mistake.startswith("residency.bundle: signatures: 2 approvers must have signed it")
    (keys / "ada.pub").write_text("no key")
    mistakes = mistakes_of(ResidencySettings(bundle=folder, approvers=approvers | {"hedy": tmp_path / "none"}))
    assert [mistake.split(":")[0] for mistake in mistakes] == ["residency.approvers.ada", "residency.approvers.hedy"]


async def test_a_process_that_ends_no_connections_follows_a_bundle_too(tmp_path: Path) -> None:
    metrics = ResidencyMetrics(CollectorRegistry())
    assert bundle_in_force(None, metrics, NoDecisionLog()) is None
    settings = ResidencySettings(bundle=written(tmp_path, residency_files(**ALWAYS)), mode="development")
    found = bundle_in_force(settings, metrics, NoDecisionLog())
    assert found is not None
    assert found.bundle is not None
    assert trust_of(settings).required == 0
