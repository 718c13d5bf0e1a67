"""Commands against a real admin listener over fakes of regions: north is here, east and south are elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from gateway.admission.policy_sets import CatalogPolicySets
from gateway.cli.app import app
from gateway.route_http import RouteHttp
from tests.gateway.operations.operations_world import OperationsWorld

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from click.testing import Result


class AdminListener:
    """`world` is what it shows."""

    def __init__(self, world: OperationsWorld, url: str) -> None:
        self.world = world
        self.url = url

    async def run(self, *arguments: str, who: str = "", scopes: tuple[str, ...] = ("operate",)) -> Result:
        """The command as `who` calls it, with a terminal that is wide."""
        environment = {"COLUMNS": "200", "PATCHBAY_OPERATOR_TOKEN": self.world.token(who, scopes=scopes) if who else ""}
        words = [*arguments, "--admin-url", self.url]
        return await asyncio.to_thread(CliRunner().invoke, app, words, env=environment)


@contextlib.asynccontextmanager
async def admin_listener(folder: Path) -> AsyncIterator[AdminListener]:
    async with ClientSession() as http:
        world = OperationsWorld(folder, http)
        facts = world.world.facts
        policies = CatalogPolicySets(None, region="north", catalog=lambda: facts.catalog)
        RouteHttp(facts, world.world.placement, policies).add_to(world.app)
        async with TestServer(world.app) as server:
            yield AdminListener(world, str(server.make_url("/")))
