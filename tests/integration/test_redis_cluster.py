"""The quota script on a real Redis Cluster of three nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from redis.asyncio import RedisCluster
from redis.exceptions import ClusterCrossSlotError

from gateway.admission.revocation_log import BEGINNING, RevocationLog
from gateway.admission.revocations import Revocation, tenant_scope
from gateway.escrow import script_calls as escrow_calls
from gateway.limits.calls import Close, Open, Record, Reply, Request, Restore, Run, Status
from gateway.limits.script_call import quota_script, run_script, run_scripts
from gateway.limits.script_codec import ScriptRules, decode, encode
from gateway.metering.entries import Slice, UsageEvent
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from policies.escrow import Terms
from policies.escrow_region import Look, Minting
from policies.plans import MICRO, CallerPlan, Level, LevelLimits, Principal, Rate
from tests.harness.limited_gateway import plan_of as limited_plan_of
from tests.harness.limited_gateway import running, settings_of
from tests.harness.quota import NAMES, caller_plan, tab_labels
from tests.harness.redis_cluster import RedisTestCluster
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

ORGS = tuple(f"org-{number}" for number in range(12))
LIMITS = LevelLimits(compute=Rate(MICRO, 60 * MICRO), max_sessions=10, starts=Rate(MICRO, 60 * MICRO))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisTestCluster]:
    running = RedisTestCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
async def client(cluster: RedisTestCluster) -> AsyncIterator[RedisCluster]:
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    yield client
    await client.aclose()


def plan_of(org: str) -> CallerPlan:
    return caller_plan(key=LIMITS, project=LIMITS, org=LIMITS, principal=Principal(org, "web", "aa"))


def call(org: str, *requests: Request) -> tuple[list[str], list[bytes]]:
    return encode(NAMES, org, requests, ScriptRules())


async def ask(client: RedisCluster, org: str, *requests: Request) -> Reply:
    return decode(await run_script(client, quota_script(), *call(org, *requests)))[-1]


def slices(first: int, count: int) -> tuple[Slice, ...]:
    return tuple(Slice(number, 1_000, 1_000, 1_000, 0) for number in range(first, first + count))


async def test_every_request_works_for_orgs_on_every_node_without_a_cross_slot(
    cluster: RedisTestCluster, client: RedisCluster
) -> None:
    for org in ORGS:
        plan = plan_of(org)
        labels, other = tab_labels("s1", plan), tab_labels("s2", plan)
        event = UsageEvent(other, 0, 29, 5, 5, 5, 0, 0, 0, is_last=False)
        reply = await ask(
            client,
            org,
            Open(labels, plan, MICRO, MICRO),
            Run(labels, plan, slices(0, 31), MICRO, MICRO, renews_lease=True),
            Record(event),
            Restore(other, plan, 30, 5, 5, 5, slices(30, 1), 0, is_over=True),
            Close(labels, plan),
        )
        assert (reply.status, reply.recorded) == (Status.ok, 31)
    keepers = {cluster.keeper(NAMES.meter(org)).port for org in ORGS}
    assert keepers == {node.port for node in cluster.nodes}


async def test_one_round_trip_serves_orgs_of_all_nodes(cluster: RedisTestCluster, client: RedisCluster) -> None:
    for node in cluster.nodes:
        with node.client() as direct:
            direct.script_flush()
    calls = [call(org, Open(tab_labels("s9", plan_of(org)), plan_of(org), 1, 1)) for org in ORGS]
    for _ in range(2):
        answers = await run_scripts(client, quota_script(), calls)
        assert [decode(answer)[0].status for answer in answers] == [Status.ok] * len(ORGS)


async def test_an_org_whose_slot_moves_keeps_its_tabs_and_is_found(
    cluster: RedisTestCluster, client: RedisCluster
) -> None:
    org = "moving"
    plan = plan_of(org)
    labels = tab_labels("s1", plan)
    await ask(client, org, Open(labels, plan, MICRO, MICRO), Run(labels, plan, slices(0, 2), 0, 0, renews_lease=False))
    source = cluster.keeper(NAMES.tab(org, "s1"))
    target = next(node for node in cluster.nodes if node is not source)
    cluster.move(NAMES.tab(org, "s1"), target)
    reply = await ask(client, org, Run(labels, plan, slices(2, 1), MICRO, MICRO, renews_lease=True))
    assert (reply.status, reply.settled_us) == (Status.ok, 3_000)
    assert cluster.keeper(NAMES.tab(org, "s1")) is target


async def test_keys_of_two_orgs_in_one_call_are_refused(client: RedisCluster) -> None:
    keys, arguments = call(ORGS[0], Close(tab_labels("s1", plan_of(ORGS[0])), plan_of(ORGS[0])))
    with pytest.raises(ClusterCrossSlotError):
        await run_script(client, quota_script(), [*keys, NAMES.meter(ORGS[1])], arguments)


async def test_a_gateways_limits_work_on_a_cluster_as_on_one_server(cluster: RedisTestCluster, tmp_path: Path) -> None:
    """Sessions of orgs on every node, settled, swept past and closed; no node that it meets later counts as a loss."""
    redis = RedisSettings(urls=tuple(map(SecretStr, cluster.urls)), is_cluster=True)
    settings = settings_of(cluster.urls[0], tmp_path / "journal", redis=redis)
    async with running(settings) as gateway:
        sessions = [await gateway.open(limited_plan_of(f"limited-{number}")) for number in range(9)]
        assert all(session.spend(1_234) for session in sessions)
        await until(lambda: all(session.granted_us == 101_234 for session in sessions), what="the settlement")
        for session in sessions:
            session.tab.release()
        await until(lambda: gateway.num_tabs == 0, what="the last settlement")
        assert gateway.link.losses == 0
        assert not gateway.limits.is_away


async def test_revocations_work_on_a_cluster_as_on_one_server(cluster: RedisTestCluster) -> None:
    link = RedisLink(RedisSettings(urls=tuple(map(SecretStr, cluster.urls)), is_cluster=True))
    records = RevocationLog(link, max_life_s=3_600, max_entries=100)
    await records.meet()
    made = [Revocation(f"r{number}", tenant_scope("acme"), 1, 2**33, 1) for number in range(20)]
    await records.append(made)
    page = await records.after(BEGINNING)
    assert page.news == tuple(made)
    assert (page.through, records.losses) == (await records.newest(), 0)
    assert [await records.may_restore() for _ in range(2)] == [True, False]
    await link.aclose()


async def test_compute_is_lent_and_credited_on_a_cluster_as_on_one_server(cluster: RedisTestCluster) -> None:
    """All levels of an org in one call, for orgs on every node."""
    link = RedisLink(RedisSettings(urls=tuple(map(SecretStr, cluster.urls)), is_cluster=True))
    terms = Terms(Rate(MICRO, MICRO), MICRO, 0)
    step = Look("gateway", MICRO, MICRO, Minting.never, 0, MICRO)
    for org in ORGS:
        who = Principal(f"lent-{org}", "web", "aa")
        seen = await escrow_calls.look(link, [((who, level), step) for level in Level])
        asks = [((who, level), found.ask, terms) for level, (found, _) in zip(Level, seen, strict=True)]
        loans = await escrow_calls.lend(link, "eu", asks)
        credited = [
            ((who, level), replace(step, loan=replace(loan, granted_us=5)))
            for level, loan in zip(Level, loans, strict=True)
        ]
        assert [found.balance_us for found, _ in await escrow_calls.look(link, credited)] == [5, 5, 5]
    await link.aclose()
