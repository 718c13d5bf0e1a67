"""Environments as they are planned: all of three regions, by the real AWS provider against a server on this machine."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from policies.routing_facts import CapacityClass
from regions.catalog_file import read_catalog
from tests.harness.terraform import Terraform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.terraform.aws_server import AwsServer

pytestmark = [pytest.mark.integration, pytest.mark.terraform]

REGION_NAMES = ("eu-central", "eu-west", "us-east")
AREAS = {"eea": {"eu-central", "eu-west"}, "us": {"us-east"}}


def environment(name: str, work: Path, aws: AwsServer) -> Terraform:
    planned = Terraform(f"terraform/environments/{name}", work, endpoint=aws.endpoint)
    shutil.copy(planned.root / "account.auto.tfvars.example", planned.root / "account.auto.tfvars")
    planned.init()
    return planned


@pytest.fixture(name="written", scope="module")
def _written(tmp_path_factory: pytest.TempPathFactory, aws: AwsServer) -> Terraform:
    return environment("production", tmp_path_factory.mktemp("production"), aws)


@pytest.fixture(name="production", scope="module")
def _production(written: Terraform) -> dict[str, Any]:
    return written.plan()


def output(plan: dict[str, Any], name: str) -> Any:
    return plan["planned_values"]["outputs"][name]["value"]


def of_type(plan: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """What is planned of each resource of one kind, with its address."""
    return [
        {"address": found["address"], **found["change"]["after"]}
        for found in plan["resource_changes"]
        if found["type"] == kind and found["mode"] == "managed"
    ]


def test_the_catalog_of_a_plan_is_one_that_gateways_load(production: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(output(production, "catalog"), encoding="utf-8")

    read = read_catalog(file)

    regions = read.catalog.regions
    assert read.warnings == ()
    assert {name: region.country for name, region in regions.items()} == {
        "eu-central": "DE",
        "eu-west": "IE",
        "us-east": "US",
    }
    assert regions["us-east"].jurisdictions == {"us"}
    assert regions["eu-west"].gateways == (
        "wss://eu-west.eea.speech.example.com/v1/stream",
        "grpcs://eu-west.eea.speech.example.com:8443",
        "https://quic.eu-west.eea.speech.example.com/v1/stream",
    )
    assert [(pool.name, pool.capacity) for pool in regions["eu-central"].pools] == [
        ("gpu-reserved", CapacityClass.reserved),
        ("gpu-spot", CapacityClass.spot),
    ]


def test_gateways_of_a_legal_area_know_no_region_of_another(production: dict[str, Any], tmp_path: Path) -> None:
    catalogs = output(production, "catalogs")
    for area, text in catalogs.items():
        (tmp_path / f"{area}.toml").write_text(text, encoding="utf-8")

    found = {area: set(read_catalog(tmp_path / f"{area}.toml").catalog.regions) for area in catalogs}

    assert found == AREAS


def test_gateways_have_their_catalog_before_terraform_waits_for_them(written: Terraform) -> None:
    """None starts without it. A catalog that waited for them, or for a machine anywhere, would come too late."""
    for name in ("eu_central", "eu_west", "us_east"):
        first = written.waits_for(f"aws_s3_object.catalog_{name}")

        encryption = "aws_s3_bucket_server_side_encryption_configuration.this"
        assert f"module.{name}.module.artifacts.module.bucket.{encryption}" in first
        assert [
            found for found in first if re.search(r"aws_(autoscaling_group|elasticache_replication_group|lb)\.", found)
        ] == []


def test_every_pool_of_the_catalog_has_its_machines_and_every_machine_its_pool(production: dict[str, Any]) -> None:
    groups = {group["name"] for group in of_type(production, "aws_autoscaling_group")}

    engines = {name for name in groups if "-engine-" in name}

    assert engines == {
        f"patchbay-production-{region}-engine-{pool}"
        for region in ("eu-central", "eu-west", "us-east")
        for pool in ("gpu-reserved", "gpu-spot")
    }
    assert {
        f"patchbay-production-{region}-gateway" for region in ("eu-central", "eu-west", "us-east")
    } == groups - engines


def test_a_spot_pool_has_spot_machines_alone_and_a_reserved_one_none(production: dict[str, Any]) -> None:
    for group in of_type(production, "aws_autoscaling_group"):
        if "-engine-" not in group["name"]:
            continue
        is_spot = group["name"].endswith("spot")
        (policy,) = group["mixed_instances_policy"]
        (distribution,) = policy["instances_distribution"]
        assert distribution["on_demand_percentage_above_base_capacity"] == (0 if is_spot else 100)
        assert distribution["spot_allocation_strategy"] == "price-capacity-optimized"
        assert group["capacity_rebalance"] is is_spot
        assert {hook["lifecycle_transition"] for hook in group["initial_lifecycle_hook"]} == {
            "autoscaling:EC2_INSTANCE_LAUNCHING",
            "autoscaling:EC2_INSTANCE_TERMINATING",
        }


def test_every_bucket_of_every_region_is_a_private_one(production: dict[str, Any]) -> None:
    buckets = [found["address"] for found in of_type(production, "aws_s3_bucket")]

    assert len(buckets) == 3 * len(REGION_NAMES)
    for part in ("public_access_block", "policy", "versioning", "ownership_controls"):
        assert len(of_type(production, f"aws_s3_bucket_{part}")) == len(buckets)


def test_terraform_is_given_no_password_of_any_region(production: dict[str, Any]) -> None:
    """CloudFormation makes users of Redis that have one (test_redis_passwords.py)."""
    stacks = {found["name"] for found in of_type(production, "aws_cloudformation_stack")}

    assert {found["user_name"] for found in of_type(production, "aws_elasticache_user")} == {"default"}
    assert of_type(production, "aws_secretsmanager_secret_version") == []
    assert {f"patchbay-production-{name}-redis-users" for name in REGION_NAMES} <= stacks


def test_links_names_and_copies_stay_inside_their_legal_area(production: dict[str, Any]) -> None:
    links = {found["address"] for found in of_type(production, "aws_vpc_peering_connection")}
    copies = {
        found["address"].split(".")[1] for found in of_type(production, "aws_s3_bucket_replication_configuration")
    }
    names = {
        (record["name"], record["set_identifier"])
        for record in of_type(production, "aws_route53_record")
        if record.get("latency_routing_policy")
    }

    assert links == {"module.link.aws_vpc_peering_connection.this"}  # of eu-central and eu-west
    assert copies == {"eu_central", "eu_west"}
    for name, region in names:
        (area,) = (area for area in AREAS if f"{area}.speech.example.com" in name)
        assert region in AREAS[area]
    assert {region for _, region in names} == {"eu-central", "eu-west", "us-east"}


def test_all_of_a_region_is_made_by_its_own_provider(production: dict[str, Any]) -> None:
    """Which has the AWS region that its row names, and under whose law that stands was looked at."""
    configuration = production["configuration"]
    modules = configuration["root_module"]["module_calls"]
    places = {
        entry["alias"]: entry["expressions"]["region"]["references"][0]
        for entry in configuration["provider_config"].values()
        if "alias" in entry
    }

    used = {name: set(providers_of(modules[name]["module"])) for name in ("eu_central", "eu_west", "us_east", "link")}

    assert places == {
        name.replace("-", "_"): f'var.regions["{name}"].aws_region' for name in ("eu-central", "eu-west", "us-east")
    }
    assert used == {
        "eu_central": {"aws.eu_central"},
        "eu_west": {"aws.eu_west"},
        "us_east": {"aws.us_east"},
        "link": {"aws.eu_central", "aws.eu_west"},
    }
    for resource in configuration["root_module"]["resources"]:
        assert resource["provider_config_key"] == resource["address"].replace("aws_s3_object.catalog_", "aws.")


def providers_of(module: dict[str, Any]) -> Iterator[str]:
    """Of all its resources, and of those of its modules."""
    yield from (resource["provider_config_key"] for resource in module.get("resources", []))
    for call in module.get("module_calls", {}).values():
        yield from providers_of(call["module"])


def test_an_accelerator_across_legal_areas_is_refused(tmp_path: Path, aws: AwsServer) -> None:
    planned = fence(tmp_path, aws)

    said = planned.refused(accelerators={"global": ["eu-west", "us-east"]})

    assert "A global accelerator across legal areas is refused" in said


def test_a_type_that_an_aws_region_lacks_is_refused_before_anything_is_made(tmp_path: Path, aws: AwsServer) -> None:
    """Ireland has no g6, and the default types begin with one."""
    hosts = Terraform("tests/terraform/roots/hosts", tmp_path, endpoint=aws.endpoint)
    hosts.init()

    said = hosts.refused(public_key="", aws_region="eu-west-1")

    assert "eu-west-1 has no g6.2xlarge, g6.xlarge, g6e.xlarge" in said


def test_a_region_under_another_law_than_its_aws_region_is_refused(tmp_path: Path, aws: AwsServer) -> None:
    planned = fence(tmp_path, aws)
    regions = {name: {**said} for name, said in REGIONS.items()}
    regions["us-east"]["jurisdictions"] = ["eu", "eea"]

    said = planned.refused(regions=regions)

    assert "us-east says eea, eu" in said
    assert "us-east-1 stands under us" in said


REGIONS: dict[str, dict[str, Any]] = {
    "eu-west": {
        "aws_region": "eu-west-1",
        "jurisdictions": ["eu", "eea"],
        "legal_area": "eea",
        "cidr": "10.1.0.0/16",
    },
    "us-east": {"aws_region": "us-east-1", "jurisdictions": ["us"], "legal_area": "us", "cidr": "10.2.0.0/16"},
}


LAWS = {"eea": {"jurisdictions": ["eu", "eea"]}, "us": {"jurisdictions": ["us"]}}


def fence(work: Path, aws: AwsServer) -> Terraform:
    """The module that environments ask first, by itself; it needs no provider."""
    planned = Terraform(
        "terraform/modules/legal_areas",
        work,
        endpoint=aws.endpoint,
        variables={
            "TF_VAR_domain": "speech.example.com",
            "TF_VAR_legal_areas": json.dumps(
                {"eea": {"jurisdictions": ["eu", "eea"]}, "us": {"jurisdictions": ["us"]}}
            ),
            "TF_VAR_regions": json.dumps(REGIONS),
        },
    )
    planned.init()
    return planned
