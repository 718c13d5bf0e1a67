"""Settings of lending that cannot be right are refused, each with its mistake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.escrow.settings import EscrowSettings
from gateway.metering.exporter.settings import ExporterListenSettings
from policies.plans import MICRO, Rate
from tests.harness.escrow_regions import escrow_settings

pytestmark = pytest.mark.unit

RATE = Rate(per_s=100 * MICRO, burst=600 * MICRO)
THREE = {"eu": "a:1", "us": "b:1", "ap": "c:1"}


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"homes": {"acme": "mars"}}, "lacks the home region mars"),
        ({"default_home": "us"}, "lacks the home region us"),
        ({"turn_ms": 150}, "turn_ms must exceed call_timeout_ms"),
        ({"learning_ms": 200}, "learning_ms must be at least"),
        ({"chunk_ms": 2_000}, "chunk_ms must not exceed holding_ms"),
        ({"sets_safe_share_aside": True, "safe_share_permille": 1_000}, "must be below the whole"),
        ({"secret": "short"}, "at least 16"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        escrow_settings(**changes)


def test_the_secret_is_never_shown() -> None:
    settings = escrow_settings()
    assert settings.secret.get_secret_value() not in f"{settings!r}{settings.model_dump_json()}"


def test_an_org_has_the_home_that_is_said_for_it_else_the_default_one() -> None:
    settings = escrow_settings(addresses=THREE, homes={"acme": "us"})
    assert (settings.home_of("acme"), settings.home_of("other")) == ("us", "eu")


def test_safe_rates_that_are_set_aside_are_taken_off_what_the_root_refills_with() -> None:
    shares = {"addresses": THREE, "safe_share_permille": 50}
    assert escrow_settings(**shares).terms(RATE).rate == RATE
    aside = escrow_settings(**shares, sets_safe_share_aside=True)
    assert aside.terms(RATE).rate == Rate(85 * MICRO, RATE.burst)
    assert aside.safe_per_s(RATE) == 5 * MICRO


def test_the_default_chunk_is_a_quarter_second_of_the_rate_and_fits_into_what_may_be_held() -> None:
    settings = EscrowSettings.model_validate({"default_home": "eu", "addresses": THREE, "secret": "0123456789abcdef"})
    assert settings.asking().chunk_ms == 250
    assert settings.terms(RATE).holding_us == 300 * MICRO


def test_its_port_is_not_the_one_of_an_exporter_on_the_same_machine() -> None:
    assert EscrowSettings.model_fields["port"].default != ExporterListenSettings.model_fields["port"].default
