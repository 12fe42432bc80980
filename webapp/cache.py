"""Values that may vanish: computed once per user and write, kept in a cachelib store.

A cached value is never older than the person's last write, on any process, and never
another person's. When the store is away it is computed each time.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol

from flask import Flask
from flask_caching import Cache

from webapp import clock, metrics
from webapp.boxes import AtHand, Box, Marker, Slot, new_marker, version_of
from webapp.errors import StoreUnavailable
from webapp.stores import Store

# A value also ages without a write: "this week" moves on.
VALUE_LIFETIME = 3600
# How long a marker is believed by the processes that have seen it. It matters only
# where several processes write and one of them cannot reach the store, or dies
# between its commit and the next line.
MARKER_LIFETIME = 60
MOST_CONFIRMED = 10_000
WRITING = "writing"
# Every value that is cached, so that all of a person's can be deleted.
NAMES = ("list", "overview")
HITS = metrics.CACHED_VALUES.labels("hit")
Prepare = Callable[[Any], Any]


class Source(Protocol):
    """Where the values come from and what tells an old one from a new one."""

    def version(self, user_id: int) -> int:
        """Return a number that grows with every write of the user."""

    def seconds_left(self, user_id: int) -> float | None:
        """Tell after how long the values change without a write; None: not soon."""


def _as_it_is(value: Any) -> Any:
    return value


class CachedValues:
    """Cached values per user, valid for one version of the user's data.

    Beside the values there is a marker per user: the version they must have. A write
    replaces it by "writing" before it begins and removes it after the commit; a
    reader that finds none asks the source and puts it back. A process that starts,
    or whose store was in trouble, asks the source again before it believes a marker.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._confirmed: dict[int, Marker] = {}
        self._at_hand = AtHand()

    def get(
        self,
        user_id: int,
        slot: Slot,
        source: Source,
        compute: Callable[[], Any],
        prepare: Prepare = _as_it_is,
    ) -> Any:
        """Return the value in the slot, computing it when there is none of now.

        `prepare` makes of a value what is wanted of it, and of the same value always
        the same. What is a tuple is kept at hand.
        """
        try:
            return self._get(user_id, slot, source, compute, prepare)
        except StoreUnavailable:
            self._confirmed.clear()
            metrics.CACHED_VALUES.labels("unavailable").inc()
            return prepare(compute())

    @contextmanager
    def changing(self, user_id: int) -> Iterator[None]:
        """Make every cached value of the user out of date while and after a write."""
        marker = marker_of(user_id)
        self._mark(lambda: self._store.set(marker, WRITING, timeout=MARKER_LIFETIME))
        try:
            yield
        finally:
            self._mark(lambda: self._store.delete(marker))

    def forget(self, user_id: int) -> None:
        """Delete all values of a user who is gone."""
        for key in (marker_of(user_id), *(box_of(user_id, name) for name in NAMES)):
            self._at_hand.forget(key)
            self._mark(partial(self._store.delete, key))

    def _get(
        self,
        user_id: int,
        slot: Slot,
        source: Source,
        compute: Callable[[], Any],
        prepare: Prepare,
    ) -> Any:
        box_key = box_of(user_id, slot.name)
        sure = self._sure(user_id)
        at_hand = sure and self._at_hand.find(box_key, slot, sure.text)
        if sure and at_hand and self._store.get(marker_of(user_id)) == sure.text:
            HITS.inc()
            return at_hand.value
        marker, box = self._store.get_many(marker_of(user_id), box_key)
        found = Box(box, slot)
        if sure and marker == sure.text and found.version == sure.version:
            HITS.inc()
            found.value = prepare(found.value)
            self._at_hand.keep(box_key, found, sure.text)
            return found.value
        version = source.version(user_id)
        if version_of(marker) == version:
            self._confirm(user_id, Marker(version, marker))
        elif marker is None:
            self._restore_marker(user_id, version, source)
        if found.version == version:
            HITS.inc()
            return prepare(found.value)
        metrics.CACHED_VALUES.labels("miss").inc()
        value = compute()
        lifetime = _lifetime(source.seconds_left(user_id))
        if lifetime > 0:
            box = {
                "version": version,
                "variant": slot.variant,
                # By our clock: that of the store may be another.
                "until": clock.timestamp() + lifetime,
                "value": value,
            }
            with suppress(ValueError):  # Larger than LARGEST_VALUE: not cached.
                self._store.set(box_key, box, timeout=lifetime)
        return prepare(value)

    def _restore_marker(self, user_id: int, version: int, source: Source) -> None:
        key, marker = marker_of(user_id), new_marker(version)
        if not self._store.add(key, marker.text, timeout=MARKER_LIFETIME):
            return
        # A write that was committed before this look is seen by it; one that is
        # committed later removes the marker.
        if source.version(user_id) == version:
            self._confirm(user_id, marker)
        else:
            self._store.delete(key)

    def _mark(self, action: Callable[[], object]) -> None:
        try:
            action()
        except StoreUnavailable:
            self._confirmed.clear()

    def _sure(self, user_id: int) -> Marker | None:
        # A marker in one process's memory says nothing of another's writes, and two
        # run side by side while a release takes over.
        return self._confirmed.get(user_id) if self._store.is_shared else None

    def _confirm(self, user_id: int, marker: Marker) -> None:
        if len(self._confirmed) >= MOST_CONFIRMED:
            self._confirmed.clear()
        self._confirmed[user_id] = marker


def _lifetime(left: float | None) -> int:
    """Return whole seconds, of which a store may count one more than there are."""
    return VALUE_LIFETIME if left is None else min(VALUE_LIFETIME, math.ceil(left) - 1)


def marker_of(user_id: int) -> str:
    """Return the key of the marker that all of a user's values go by."""
    # In braces: a Redis Cluster keeps all of a person's values at one server.
    return f"{{{user_id}}}"


def box_of(user_id: int, name: str) -> str:
    """Return the key of a value of NAMES."""
    return f"{marker_of(user_id)}:{name}"


def init_cache(app: Flask, store: Store) -> CachedValues:
    """Make Flask-Caching use the store.

    Its decorators key by URL, not by user: use them only for what is the same for
    everyone, and `CachedValues` for the rest.
    """
    cache = Cache(with_jinja2_ext=False)
    cache.init_app(
        app, {"CACHE_TYPE": "webapp.cache.take_store", "CACHE_ARGS": [store]}
    )
    cached = app.extensions["cached_values"] = CachedValues(store)
    return cached


def take_store(_app: Flask, _config: Any, args: list[Store], _options: Any) -> Store:
    """Flask-Caching's factory: hand over the store that is open already."""
    return args[0]
