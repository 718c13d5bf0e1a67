"""What regions need of a gateway is built as the settings say, or refused with every mistake."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.admit import LocalSessionLimits
from gateway.admission.policy_sets import PolicySet
from gateway.errors import SessionRefused
from gateway.regional import regional
from gateway.settings import GatewaySettings, SettingsRefused, validate
from policies.facts import Caller
from policies.residency.grant import parse
from policies.residency.permitted import Permitted
from tests.harness.certificates import Authority
from tests.harness.grants import GrantKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.regional import Regional

HERE, THERE = "eu-west", "eu-central"
ISSUER = {
    "issuer": "https://id.example",
    "audience": "patchbay",
    "algorithms": ["HS256"],
    "shared_secrets": [{"kid": "k", "value": "0123456789abcdef0123456789abcdef"}],
}
ENGINES = {"addresses": ["unix:/nowhere/engine.sock"]}
CALLER = Caller(
    tenant="acme",
    project="",
    subject="s",
    plan="",
    scopes=frozenset(),
    residency_profile="",
    expires_at_s=2_000_000_000,
)


def settings_of(**changes: Any) -> GatewaySettings:
    return validate({"region": HERE, "engines": ENGINES, "tokens": {"issuers": [ISSUER]}} | changes)


@contextlib.asynccontextmanager
async def built(settings: GatewaySettings) -> AsyncIterator[Regional]:
    async with regional(settings, LocalSessionLimits(settings.admission), CollectorRegistry()) as parts:
        yield parts


async def mistakes_of(settings: GatewaySettings) -> list[str]:
    with pytest.raises(SettingsRefused) as caught:
        async with built(settings):
            raise AssertionError("it was built")
    return list(caught.value.mistakes)


def catalog_in(folder: Path, *regions: str) -> str:
    file = folder / "catalog.toml"
    file.write_text(
        "".join(
            f"""
[[regions]]
name = "{name}"
country = "IE"
location = {{ latitude = 53, longitude = -6 }}
jurisdictions = ["eu"]
operator = "acme"
gateways = ["wss://{name}.example.com/v1/stream"]
relays = ["127.0.0.1:{number}"]
pools = [{{ name = "a", capacity = "reserved", models = [{{ name = "en" }}] }}]
"""
            for number, name in enumerate(regions, 1)
        )
    )
    return str(file)


def certificate_in(folder: Path) -> dict[str, str]:
    files = Authority(folder / "authority").issue(HERE)
    return {name: str(getattr(files, name)) for name in ("certificate_file", "key_file", "ca_file")}


async def test_without_regions_placement_knows_this_region_alone_and_nothing_listens_for_peers() -> None:
    async with built(settings_of()) as parts:
        assert [region.name for region in parts.placement.snapshot.regions] == [HERE]
        assert parts.policies.permitted(CALLER) == PolicySet.of_list(frozenset({HERE}))
        assert parts.relay is None
        async with contextlib.AsyncExitStack() as stack:
            await parts.listen(stack)
        await parts.drain(within_ms=0)


async def test_every_region_of_the_catalog_is_known_and_permitted_where_residency_says_nothing(tmp_path: Path) -> None:
    async with built(settings_of(regions={"catalog_file": catalog_in(tmp_path, HERE, THERE)})) as parts:
        assert {region.name for region in parts.placement.snapshot.regions} == {HERE, THERE}
        assert parts.policies.permitted(CALLER) == PolicySet.of_list(frozenset({HERE, THERE}))


async def test_a_catalog_that_lacks_this_region_or_one_of_a_profile_is_refused(tmp_path: Path) -> None:
    settings = settings_of(
        regions={"catalog_file": catalog_in(tmp_path, THERE)}, residency={"profiles": {"us": ["us-east"]}}
    )
    assert await mistakes_of(settings) == [
        "regions.catalog_file: residency.profiles.us: the catalog has no region us-east",
        f"regions.catalog_file: it lacks this region, {HERE}",
    ]


async def test_without_a_catalog_a_profile_may_name_this_region_alone() -> None:
    settings = settings_of(residency={"default": [HERE, THERE]})
    assert await mistakes_of(settings) == [f"residency.default: the catalog has no region {THERE}"]


async def test_what_is_wrong_with_catalog_certificates_engines_and_keys_is_said_at_once(tmp_path: Path) -> None:
    catalog, keys, engines = (tmp_path / name for name in ("catalog.toml", "keys", "engines.toml"))
    catalog.write_text("[[regions]]\n")
    keys.write_text("short\n")
    engines.write_text('[[engines]]\naddress = "nowhere"\n')
    missing = {name: str(tmp_path / name) for name in ("certificate_file", "key_file", "ca_file")}
    mistakes = await mistakes_of(
        settings_of(
            regions={"catalog_file": str(catalog), "links": missing, "relay": missing},
            engines={"discovery": {"kind": "file", "path": str(engines)}},
            resumption={"key_file": str(keys)},
        )
    )
    places = [mistake.split(":")[0] for mistake in mistakes]
    assert list(dict.fromkeys(places)) == [
        "regions.catalog_file",
        "regions.links",
        "regions.relay",
        "engines.discovery",
        "resumption.key_file",
    ]
    assert places.count("regions.links") == places.count("regions.relay") == len(missing)


async def test_the_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    files = certificate_in(tmp_path) | {"key_file": certificate_in(other)["key_file"]}
    regions = {"catalog_file": catalog_in(tmp_path, HERE, THERE), "links": files}
    (mistake,) = await mistakes_of(settings_of(regions=regions))
    assert mistake.startswith("regions.links: ")
    assert "not the key of" in mistake


async def test_a_relay_listens_until_its_stack_is_closed(tmp_path: Path) -> None:
    relay = certificate_in(tmp_path) | {"host": "127.0.0.1", "port": 0}
    settings = settings_of(regions={"catalog_file": catalog_in(tmp_path, HERE, THERE), "relay": relay})
    async with built(settings) as parts, contextlib.AsyncExitStack() as stack:
        await parts.listen(stack)
        assert parts.relay is not None
        await parts.drain(within_ms=1_000)


def permitted(parts: Regional) -> object:
    found = parts.policies.permitted(CALLER)
    return found.permitted if isinstance(found, PolicySet) else found


async def test_callers_regions_are_those_of_the_catalog_in_force_and_whoever_asks_hears_of_another_one(
    tmp_path: Path,
) -> None:
    async with built(settings_of(regions={"catalog_file": catalog_in(tmp_path, HERE)})) as parts:
        told: list[object] = []
        parts.on_policy_changed(
            lambda: told.append((permitted(parts), {region.name for region in parts.placement.snapshot.regions}))
        )
        assert permitted(parts) == Permitted.everywhere_in(frozenset({HERE}))
        catalog_in(tmp_path, HERE, THERE)
        assert parts.file is not None
        for _ in range(3):
            await parts.file.look()
        both = frozenset({HERE, THERE})
        assert told == [(Permitted.everywhere_in(both), both)]
        assert isinstance(parts.policies.permitted(replace(CALLER, residency_profile="mars")), SessionRefused)


# --- placement grants -----------------------------------------------------------------------------------------


def grants_in(folder: Path) -> dict[str, str]:
    keys = GrantKeys(folder / "grant-keys", HERE, THERE)
    key_file = folder / "grant.pem"
    key_file.write_bytes(keys.private_pem(HERE))
    return {"key_file": str(key_file), "keys_directory": str(keys.folder)}


async def test_grants_are_signed_and_those_of_peers_asked_for_where_the_settings_say_so(tmp_path: Path) -> None:
    relay = certificate_in(tmp_path) | {"host": "127.0.0.1", "port": 0}
    regions = {"catalog_file": catalog_in(tmp_path, HERE, THERE), "relay": relay}
    lists = {"default": [HERE]}
    async with built(settings_of(regions=regions, residency=lists)) as parts, contextlib.AsyncExitStack() as stack:
        await parts.listen(stack)
        assert parts.grants is None
        assert parts.relay is not None
        assert parts.relay.is_guarded is False
    signing = settings_of(regions=regions, residency=lists | {"grants": grants_in(tmp_path)})
    async with built(signing) as parts, contextlib.AsyncExitStack() as stack:
        await parts.listen(stack)
        policies = parts.policies.permitted(CALLER)
        assert isinstance(policies, PolicySet)
        assert parts.grants is not None
        signed = parse(parts.grants.issue("s", "acme", policies))
        assert signed is not None
        assert (signed.grant.issuer, set(signed.grant.process)) == (HERE, {HERE})
        assert parts.relay is not None
        assert parts.relay.is_guarded


async def test_grants_alone_are_carried_by_sessions_that_may_be_in_every_region(tmp_path: Path) -> None:
    regions = {"catalog_file": catalog_in(tmp_path, HERE, THERE)}
    async with built(settings_of(regions=regions, residency={"grants": grants_in(tmp_path)})) as parts:
        policies = parts.policies.permitted(CALLER)
        assert policies == PolicySet.of_list(frozenset({HERE, THERE}))
        assert parts.grants is not None


async def test_a_grant_key_that_is_none_is_refused(tmp_path: Path) -> None:
    grants = grants_in(tmp_path) | {"key_file": str(tmp_path / "no.pem")}
    (mistake,) = await mistakes_of(settings_of(residency={"default": [HERE], "grants": grants}))
    assert mistake.startswith("residency.grants.key_file: ")
