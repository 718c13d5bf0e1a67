"""Residency of one process, from its settings: who decides where audio may be, and what follows a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admission.policy_sets import CatalogPolicySets
from gateway.decision_log.interface import NoDecisionLog
from gateway.residency.break_glass_union import NoGlass
from gateway.residency.in_force import BundlesInForce
from gateway.residency.last_good import LastGood
from gateway.residency.loading import BundleUnusable, Trust
from gateway.residency.metrics import ResidencyMetrics
from gateway.residency.policy_sets import BundlePolicySets
from gateway.residency.signatures import KeyRefused, public_key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from prometheus_client import CollectorRegistry

    from gateway.decision_log.interface import DecisionLog
    from gateway.residency.break_glass_union import Glass
    from gateway.residency.settings import ResidencySettings
    from regions.catalog import Catalog

_S_PER_DAY = 86_400


class ResidencyRefused(Exception):
    """The bundle or the keys of its approvers cannot be used; `mistakes` lists each, with the setting that it is of."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Residency:
    """Who decides. `in_force` None: plain lists of regions do; else its owner runs it."""

    policies: CatalogPolicySets | BundlePolicySets
    in_force: BundlesInForce | None = None


def residency(
    settings: ResidencySettings | None,
    *,
    region: str,
    catalog: Callable[[], Catalog],
    registry: CollectorRegistry,
    decisions: DecisionLog | None = None,
    glass: Glass | None = None,
) -> Residency:
    """Build it.

    Args:
        glass: emergency permissions; None: there are none.

    Raises:
        ResidencyRefused: there is no bundle to begin with.
    """
    if settings is None or settings.bundle is None:
        lists = settings if settings is not None and settings.has_lists else None
        return Residency(CatalogPolicySets(lists, region=region, catalog=catalog))
    metrics = ResidencyMetrics(registry)
    in_force = bundle_in_force(settings, metrics, NoDecisionLog() if decisions is None else decisions)
    if in_force is None:
        raise RuntimeError("a bundle was named a moment ago")
    policies = BundlePolicySets(
        in_force, region=region, catalog=catalog, metrics=metrics, glass=NoGlass() if glass is None else glass
    )
    return Residency(policies, in_force)


def bundle_in_force(
    settings: ResidencySettings | None, metrics: ResidencyMetrics, decisions: DecisionLog
) -> BundlesInForce | None:
    """For a process that asks a bundle and ends no connections. None: the settings name none.

    Raises:
        ResidencyRefused: there is no bundle to begin with.
    """
    if settings is None or settings.bundle is None:
        return None
    keep = settings.last_good_directory
    try:
        return BundlesInForce(
            settings.bundle,
            trust_of(settings),
            metrics,
            decisions,
            last_good=None if keep is None else LastGood(keep),
            check_interval_ms=settings.check_interval_ms,
        )
    except BundleUnusable as unusable:
        raise ResidencyRefused([f"residency.bundle: {mistake}" for mistake in unusable.mistakes]) from None


def trust_of(settings: ResidencySettings) -> Trust:
    """Raises ResidencyRefused: a key cannot be used."""
    is_production = settings.mode == "production"
    return Trust(
        approvers_of(settings.approvers),
        settings.required_signatures if is_production else 0,
        settings.max_age_days * _S_PER_DAY,
    )


def approvers_of(files: Mapping[str, Path]) -> dict[str, Ed25519PublicKey]:
    """Raises ResidencyRefused: every key that cannot be used."""
    keys: dict[str, Ed25519PublicKey] = {}
    mistakes = []
    for name, path in files.items():
        try:
            keys[name] = public_key_of(path.read_bytes())
        except OSError as error:
            mistakes.append(f"residency.approvers.{name}: {path}: {error.strerror}")
        except KeyRefused as refused:
            mistakes.append(f"residency.approvers.{name}: {path}: {refused}")
    if mistakes:
        raise ResidencyRefused(mistakes)
    return keys
