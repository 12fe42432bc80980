"""`flask …`, whose modules are loaded when somebody asks for a command.

A server never does, and they are 30 ms of each start (click's documentation, Lazily
Loading Subcommands).
"""

from collections.abc import MutableMapping
from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup


def init_commands(app: Flask, module: str = "webapp.ops.commands") -> None:
    """Give the application the commands that `add_commands` of this module adds."""
    app.cli = OperatorCommands(app.name, module, app.cli.commands)


class OperatorCommands(AppGroup):
    def __init__(
        self, name: str, module: str, others: MutableMapping[str, click.Command]
    ) -> None:
        super().__init__(name, others)
        self._module = module
        self._is_loaded = False

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self._load()
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._load()
        return super().list_commands(ctx)

    def _load(self) -> None:
        if not self._is_loaded:
            self._is_loaded = True
            import_module(self._module).add_commands(self)
