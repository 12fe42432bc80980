"""What every application compiles, compiled once for all tests of a process.

Each test makes an application of its own, and a third of its time would go into the
same pages, files, addresses and statements. What is shared here has no state.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from redis._parsers import CommandsParser
from sqlalchemy import Engine
from werkzeug.routing import Rule

from webapp import database, static_files
from webapp.database import Model


def share(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Flask, "jinja_options", {"bytecode_cache": Templates()})
    patch.setattr(static_files, "_read_all", cache(static_files._read_all))
    _share_addresses(patch)
    _share_statements(patch)
    _share_commands(patch)


def _share_addresses(patch: pytest.MonkeyPatch) -> None:
    compile_rule, compiled = Rule.compile, dict[Any, Rule]()

    def compile_once(rule: Rule) -> None:
        assert rule.map is not None
        converters = tuple(rule.map.converters.items())
        key = (rule.rule, rule.subdomain, rule.merge_slashes, repr(rule.defaults))
        known = compiled.setdefault((*key, converters), rule)
        if known is rule:
            compile_rule(rule)
            return
        rule.arguments = known.arguments
        rule._trace, rule._parts = known._trace, known._parts
        rule._converters = known._converters
        rule._build = _of(rule, known._build)
        rule._build_unknown = _of(rule, known._build_unknown)

    patch.setattr(Rule, "compile", compile_once)


def _of(rule: Rule, method: Any) -> Any:
    return method.__func__.__get__(rule)


def _share_statements(patch: pytest.MonkeyPatch) -> None:
    create_engine, compiled = database._create_engine, Statements()

    def create_sharing_engine(url: str) -> Engine:
        engine = create_engine(url)
        engine.update_execution_options(compiled_cache=compiled)
        return engine

    patch.setattr(database, "_create_engine", create_sharing_engine)
    # The inserts of objects have a cache each.
    for mapper in Model.registry.mappers:
        patch.setitem(mapper.__dict__, "_compiled_cache", Statements())


def _share_commands(patch: pytest.MonkeyPatch) -> None:
    """Ask the servers of a Cluster once which commands they know."""
    ask: Callable[..., Any] = CommandsParser.initialize
    known: dict[str, Any] = {}

    def ask_once(parser: Any, client: Any) -> None:
        if not known:
            ask(parser, client)
            known.update(parser.commands)
        parser.commands = dict(known)

    patch.setattr(CommandsParser, "initialize", ask_once)


class Templates(BytecodeCache):
    """What Jinja makes of the pages, by what is written there."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


class Statements(dict[Any, Any]):
    """A `compiled_cache` of SQLAlchemy for all engines of one kind of database."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_any_engine(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_of_any_engine(key), compiled)


def _of_any_engine(key: Any) -> Any:
    dialect, *rest = key
    return type(dialect), *rest
