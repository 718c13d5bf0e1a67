"""`patchbay pool`: the pools of engines of a running region, and what operators want of them."""

from __future__ import annotations

import typer

from gateway.cli.live_engines import add_live_commands
from gateway.cli.order_commands import add_order_commands

app = typer.Typer(help="Show the pools of a region; empty one, and take that back.", no_args_is_help=True)
add_live_commands(app, "pool")
add_order_commands(app, "pool")
