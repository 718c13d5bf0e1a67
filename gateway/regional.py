"""What has to do with regions: the catalog, engines near and far, placement, the relay for peers, resumption.

Built from settings once. Without `[regions]` this gateway knows its own region alone; what only several regions need is
loaded where they are named.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.admission.policy_sets import residency_mistakes
from gateway.residency.building import Residency, ResidencyRefused, residency
from gateway.resumption_building import ResumptionBuilding, token_keys_of
from gateway.settings import SettingsRefused
from policies.order_effects import is_effective
from policies.orders import Scope, Target
from regions.capacity.metrics import CapacityMetrics
from regions.capacity.watch import CapacityWatch
from regions.catalog import Catalog
from regions.facts import Facts
from regions.links.pool import LinkPool
from regions.links.pool_metrics import PoolMetrics
from regions.links.settings import PoolSettings
from regions.orders.book import OrderBook
from regions.orders.copy import OrdersCopy
from regions.orders.metrics import OrderMetrics
from regions.orders_carried_out import OrdersCarriedOut
from regions.placement import RegionalPlacement
from regions.placement_metrics import PlacementMetrics
from regions.placement_settings import PlacementSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from prometheus_client import CollectorRegistry
    from redis.asyncio import Redis

    from gateway.admission.policy_sets import CatalogPolicySets
    from gateway.decision_log.interface import DecisionLog
    from gateway.limits.interface import SessionLimits
    from gateway.operations.audit import AuditStream
    from gateway.operations.glass_book import GlassBook
    from gateway.redis_link.client import RedisLink
    from gateway.residency.grants import GrantIssuer
    from gateway.residency.in_force import BundlesInForce
    from gateway.residency.policy_sets import BundlePolicySets
    from gateway.resumption.points import StoredCommitPoints
    from gateway.resumption.resumption import Resumption
    from gateway.settings import GatewaySettings
    from policies.orders import Orders
    from policies.routing import RoutingWeights
    from policies.tier_slots import TierHeadroom
    from regions.catalog import PoolSpec, RegionSpec
    from regions.catalog_file import CatalogFile
    from regions.discovery.interface import Discovery
    from regions.links.certificates import CertificateMetrics, Certificates, TlsFiles
    from regions.links.peer_settings import PeerLinkSettings
    from regions.orders.store import OrderStore
    from regions.relay.server import RelayServer
    from regions.settings import RegionsSettings

    Task = Callable[[], Coroutine[Any, Any, None]]

_Part = TypeVar("_Part")


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Regional:
    """Parts that are not running yet: `listen` for peers, then `run` until it is cancelled."""

    policies: CatalogPolicySets | BundlePolicySets
    grants: GrantIssuer | None
    """Signs what policy permits each session; None: nobody checks that."""
    pool: LinkPool
    facts: Facts
    placement: RegionalPlacement
    capacity: CapacityWatch
    resumption: Resumption
    orders: OrderBook
    carried_out: OrdersCarriedOut
    glass: GlassBook
    """Emergency permissions."""
    audit_stream: AuditStream | None
    """Of what operators do; None: there is no Redis."""
    weights: RoutingWeights
    run: Task
    relay: RelayServer | None
    file: CatalogFile | None
    in_force: BundlesInForce | None
    """The policy bundle; None: plain lists of regions decide."""

    def on_policy_changed(self, callback: Callable[[], None]) -> None:
        """Call it whenever callers may have other sets than before, as there is another catalog, bundle, date or
        emergency permission, after all of these parts know it. It must not raise.
        """
        if self.file is not None:
            self.file.on_change(lambda _catalog: callback())
        if self.in_force is not None:
            self.in_force.on_change(callback)
            self.glass.on_change(callback)

    async def listen(self, stack: contextlib.AsyncExitStack) -> None:
        """Take links of peers; `stack` ends them. Raises OSError: the port cannot be had."""
        if self.relay is not None:
            stack.push_async_callback(self.relay.stop)
            await self.relay.start()

    async def drain(self, within_ms: int) -> None:
        """Peers' streams move away; returns when they are gone, or after so long."""
        if self.relay is not None:
            await self.relay.drain(deadline_ms=within_ms)


@contextlib.asynccontextmanager
async def regional(
    settings: GatewaySettings,
    limits: SessionLimits,
    registry: CollectorRegistry,
    decisions: DecisionLog | None = None,
) -> AsyncIterator[Regional]:
    """Build them. `decisions`: where changes of policy are written down.

    Raises:
        SettingsRefused: the catalog, certificates or keys cannot be used; every mistake in them.
    """
    async with contextlib.AsyncExitStack() as stack:
        yield _Building(settings, limits, registry, stack).build(decisions)


class _Building:
    """One gateway's parts, in the order in which they need each other."""

    def __init__(
        self,
        settings: GatewaySettings,
        limits: SessionLimits,
        registry: CollectorRegistry,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._registry = registry
        self._stack = stack
        self._name = f"{settings.region}/{uuid.uuid4().hex[:8]}"
        self._tasks: list[Task] = []
        regions = settings.regions
        mistakes: list[str] = []
        self._file: CatalogFile | None = None
        self._link_settings: PeerLinkSettings | None = None
        self._certificates: Certificates | None = None
        self._relay_certificates: Certificates | None = None
        if regions is None:
            mistakes += residency_mistakes(settings.residency, catalog=Catalog(), region=settings.region)
        else:
            self._file = _unless_refused(lambda: _catalog_file(settings, regions, registry), mistakes)
            self._link_settings = regions.links
            self._certificates = self._unless_refused_certificates(regions.links, "links", mistakes)
            self._relay_certificates = self._unless_refused_certificates(regions.relay, "relay", mistakes)
        if self._file is not None:
            self._tasks.append(self._file.run)
        self._discovery = _unless_refused(self._discovery_of_engines, mistakes)
        self._grants = _unless_refused(self._grant_issuer, mistakes)
        keys = _unless_refused(lambda: token_keys_of(settings), mistakes)
        if mistakes or keys is None:
            raise SettingsRefused(mistakes)
        self._token_keys = keys

    def catalog(self) -> Catalog:
        return Catalog() if self._file is None else self._file.current()

    def build(self, decisions: DecisionLog | None) -> Regional:
        settings = self._settings
        self.glass = self._glass()
        decides = self._residency(decisions)
        policies = decides.policies
        pool_metrics = PoolMetrics(self._registry)
        pool = self._local_pool(pool_metrics)
        placing = PlacementSettings() if settings.regions is None else settings.regions.placement
        rules = placing.rules()
        facts = Facts(
            settings.region,
            catalog=self.catalog(),
            local=pool,
            dial=lambda spec: self._dial(spec, pool_metrics),
            rules=rules,
            now_ms=monotonic_ms,
        )
        policies.may_send_to = facts.takes_clients
        pool.headroom = rules.headroom
        pool.classes = rules.classes
        pool.slow_start = rules.slow_start
        pool.class_of_pool = facts.class_of_pool
        if self._file is not None:
            self._file.on_change(facts.catalog_changed)
        metrics = PlacementMetrics(self._registry)
        placement = RegionalPlacement(facts, rules, metrics, now_ms=monotonic_ms)
        metrics.watch(lambda: placement.snapshot)
        capacity = self._capacity(pool, placement, rules.headroom)
        kept = ResumptionBuilding(
            settings, self._registry, self._stack, catalog=self.catalog, certificates=self._certificates
        )
        resumption, points = kept.build(self._token_keys, self._redis())
        self._tasks += [pool.run, facts.run, points.run]
        relay = self._relay(facts, points, decides)
        if relay is not None:
            self._tasks.append(relay.run)
        in_use = functools.partial(_links_in_use, relay)
        orders, carried_out = self._orders(pool, facts, placement, in_use)
        capacity.is_held = lambda name: _holds_pool(orders.orders, settings.region, name)
        return Regional(
            policies=policies,
            grants=self._grants,
            pool=pool,
            facts=facts,
            placement=placement,
            capacity=capacity,
            resumption=resumption,
            orders=orders,
            carried_out=carried_out,
            glass=self.glass,
            audit_stream=self._audit_stream(),
            weights=rules.weights,
            run=lambda: _all(self._tasks),
            relay=relay,
            file=self._file,
            in_force=decides.in_force,
        )

    def _residency(self, decisions: DecisionLog | None) -> Residency:
        settings = self._settings
        try:
            built = residency(
                settings.residency,
                region=settings.region,
                catalog=self.catalog,
                registry=self._registry,
                decisions=decisions,
                glass=self.glass,
            )
        except ResidencyRefused as refused:
            raise SettingsRefused(refused.mistakes) from None
        if built.in_force is not None:
            self._tasks.append(built.in_force.run)
        return built

    # --- engines near and far -----------------------------------------------------------------------------

    def _local_pool(self, metrics: PoolMetrics) -> LinkPool:
        settings, found = self._settings, self._discovery
        return LinkPool(settings.engines, gateway=self._name, discovery=found, region=settings.region, metrics=metrics)

    def _capacity(self, pool: LinkPool, placement: RegionalPlacement, headroom: TierHeadroom) -> CapacityWatch:
        settings = self._settings
        placement.unmet.remembered_ms = settings.capacity.unmet_remembered_ms

        def pools() -> tuple[PoolSpec, ...]:
            here = self.catalog().regions.get(settings.region)
            return () if here is None else here.pools

        watch = CapacityWatch(
            settings.capacity,
            headroom,
            reports=pool.reports,
            pools=pools,
            unmet=placement.unmet,
            now_ms=monotonic_ms,
            silent=lambda: pool.silent,
        )
        CapacityMetrics(self._registry, watch.now)
        self._tasks.append(watch.run)
        return watch

    def _discovery_of_engines(self) -> Discovery | None:
        discovery, region = self._settings.engines.discovery, self._settings.region
        if discovery is None:
            return None
        from regions.discovery.metrics import DiscoveryMetrics
        from regions.discovery.opening import discovery_of
        from regions.watched_file import FileRefused

        try:
            return discovery_of(discovery, region=region, metrics=DiscoveryMetrics(self._registry))
        except FileRefused as refused:
            raise SettingsRefused([f"engines.discovery: {mistake}" for mistake in refused.mistakes]) from None

    def _dial(self, spec: RegionSpec, metrics: PoolMetrics) -> LinkPool:
        """The pool of a peer's relays; an empty one where this gateway has no certificate to show them."""
        links = self._link_settings
        if links is None or self._certificates is None:
            return LinkPool(PoolSettings(), gateway=self._name, region=spec.name, metrics=metrics)
        from regions.links.certificates import LinkTls

        return LinkPool(
            PoolSettings(addresses=spec.relays, link=links.link),
            gateway=self._name,
            region=spec.name,
            tls=LinkTls(self._certificates, spec.name),
            metrics=metrics,
        )

    def _unless_refused_certificates(
        self, files: TlsFiles | None, use: str, mistakes: list[str]
    ) -> Certificates | None:
        return None if files is None else _unless_refused(lambda: self._certificates_of(files, use), mistakes)

    def _certificates_of(self, files: TlsFiles, use: str) -> Certificates:
        from regions.links.certificates import Certificates, CertificatesUnusable

        try:
            certificates = Certificates(files, use=use, metrics=self._certificate_metrics())
        except CertificatesUnusable as unusable:
            raise SettingsRefused([f"regions.{use}: {line}" for line in str(unusable).splitlines()]) from None
        self._tasks.append(certificates.run)
        return certificates

    @functools.cache  # noqa: B019 - lives as long as the building does
    def _certificate_metrics(self) -> CertificateMetrics:
        from regions.links.certificates import CertificateMetrics

        return CertificateMetrics(self._registry)

    # --- stores ---------------------------------------------------------------------------------------------

    def _redis(self) -> RedisLink | None:
        redis = self._settings.limits.redis
        if redis is None:
            return None
        from gateway.redis_link.client import RedisLink

        link = RedisLink(redis)
        self._stack.push_async_callback(link.aclose)
        return link

    # --- what operators order -----------------------------------------------------------------------------

    def _orders(
        self, pool: LinkPool, facts: Facts, placement: RegionalPlacement, peer_links: Callable[[], int]
    ) -> tuple[OrderBook, OrdersCarriedOut]:
        """In force from here on, as far as this gateway's copy knows them."""
        settings, metrics = self._settings.orders, OrderMetrics(self._registry)
        book = OrderBook(
            gateway=self._name,
            store=self._order_store(),
            copy=None if settings.copy_file is None else OrdersCopy(settings.copy_file),
            metrics=metrics,
            poll_ms=settings.poll_ms,
        )
        carried_out = OrdersCarriedOut(book, facts, pool, placement, metrics, peer_links=peer_links)
        self._tasks += [book.run, carried_out.run]
        return book, carried_out

    def _glass(self) -> GlassBook:
        """In force from here on, as far as this gateway's copy knows."""
        from gateway.operations.glass_building import glass_book

        settings = self._settings
        book = glass_book(settings.operations.break_glass, self._operators_redis(), settings.region, self._registry)
        self._tasks.append(book.run)
        return book

    @functools.cache  # noqa: B019 - lives as long as the building does
    def _operators_redis(self) -> RedisLink | None:
        return self._redis()

    def _audit_stream(self) -> AuditStream | None:
        link = self._operators_redis()
        if link is None:
            return None
        from gateway.operations.audit_stream import RedisAuditStream

        return RedisAuditStream(link, self._settings.region)

    def _order_store(self) -> OrderStore | None:
        redis = self._settings.limits.redis
        link = self._redis()
        if redis is None or link is None:
            return None
        from gateway.redis_link.errors import RedisAway
        from regions.orders.errors import StoreAway
        from regions.orders.store import OrderNames, OrderStore

        async def ask(call: Callable[[Redis], Awaitable[Any]]) -> Any:
            try:
                return await link.ask(call)
            except RedisAway as away:
                raise StoreAway(away.why.value) from away

        return OrderStore(ask, OrderNames(redis.prefix, self._settings.region))

    # --- the relay ----------------------------------------------------------------------------------------

    def _relay(self, facts: Facts, points: StoredCommitPoints, decides: Residency) -> RelayServer | None:
        certificates = self._relay_certificates
        if certificates is None:
            return None
        from gateway.relay_building import OwnPolicy, peers_relay

        policy = OwnPolicy(decides, self.glass, self._file)
        return peers_relay(
            self._settings,
            facts,
            points,
            policy,
            certificates,
            registry=self._registry,
            close_left=self._limits.close_left,
        )

    # --- placement grants ---------------------------------------------------------------------------------

    def _grant_issuer(self) -> GrantIssuer | None:
        settings = self._settings.residency
        if settings is None or settings.grants is None:
            return None
        from gateway.residency.granting import grant_issuer
        from gateway.residency.grants import GrantKeyUnusable

        try:
            return grant_issuer(settings.grants, region=self._settings.region, now_s=time.time)
        except GrantKeyUnusable as unusable:
            raise SettingsRefused([f"residency.grants.key_file: {unusable}"]) from None


def _catalog_file(settings: GatewaySettings, regions: RegionsSettings, registry: CollectorRegistry) -> CatalogFile:
    from regions.catalog_file import CatalogFile, CatalogRefused
    from regions.catalog_metrics import CatalogMetrics

    def mistakes_with(catalog: Catalog) -> list[str]:
        mistakes = residency_mistakes(settings.residency, catalog=catalog, region=settings.region)
        if settings.region not in catalog.regions:
            mistakes.append(f"it lacks this region, {settings.region}")
        return mistakes

    try:
        return CatalogFile(
            regions.catalog_file,
            look_interval_ms=regions.look_interval_ms,
            metrics=CatalogMetrics(registry),
            mistakes_with=mistakes_with,
        )
    except CatalogRefused as refused:
        raise SettingsRefused([f"regions.catalog_file: {mistake}" for mistake in refused.mistakes]) from None


def _links_in_use(relay: RelayServer | None) -> int:
    return 0 if relay is None else relay.num_links_in_use


def _holds_pool(orders: Orders, region: str, pool: str) -> bool:
    """Whether operators drain this pool as a whole."""
    about = orders.of(Target(Scope.pool, region, pool))
    return about is not None and is_effective(about)


def _unless_refused(make: Callable[[], _Part], mistakes: list[str]) -> _Part | None:
    """What `make` makes; None where it is refused, and why is added to `mistakes`."""
    try:
        return make()
    except SettingsRefused as refused:
        mistakes += refused.mistakes
        return None


async def _all(tasks: Sequence[Task]) -> None:
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(task())
