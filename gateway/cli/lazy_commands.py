"""Commands that are imported when they are called: `patchbay` starts in the time that one of them takes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyCommands(TyperGroup):
    """A group whose commands are named in `places`: `module:attribute` of a Typer application or of a function."""

    places: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.places]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        place = self.places.get(cmd_name)
        return None if place is None else _loaded(cmd_name, place)


def _loaded(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    loaded: Any
    if isinstance(found, typer.Typer):
        loaded = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
        alone.command(name)(found)
        loaded = typer.main.get_command(alone)
    loaded.name = name
    return loaded
