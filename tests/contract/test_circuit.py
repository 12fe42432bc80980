"""A server that failed is left alone for a while."""

import pytest
import time_machine

from webapp.errors import StoreUnavailable
from webapp.stores import Store, open_store
from webapp.stores.circuit import Circuit

pytestmark = pytest.mark.embedded


class Away(OSError):
    """There is no server."""


class Answered(OSError):
    """The server says that it cannot."""


@pytest.fixture
def store() -> Store:
    return open_store("memory://", "test")


@pytest.fixture
def circuit(store: Store) -> Circuit:
    return Circuit(store, "It", (OSError,), lambda error: isinstance(error, Away))


def ask(circuit: Circuit, error: Exception | None = None, **how: bool) -> None:
    with circuit.asking(**how):
        if error:
            raise error


def test_a_server_that_is_away_is_left_alone(circuit: Circuit, store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="It: gone"):
        ask(circuit, Away("gone"))
    assert store.last_trouble > 0
    with pytest.raises(StoreUnavailable, match="left alone"):
        ask(circuit)


def test_it_is_used_again_once_it_answers(
    circuit: Circuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.stores.circuit.PAUSE", 0.0)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="gone"):
            ask(circuit, Away("gone"))
    ask(circuit)
    assert not circuit.paused_until


def test_a_server_that_refuses_something_is_asked_on(
    circuit: Circuit, store: Store
) -> None:
    with pytest.raises(StoreUnavailable, match="full"):
        ask(circuit, Answered("full"))
    assert store.last_trouble > 0
    ask(circuit)


def test_our_own_mistake_is_nobodys_failure(circuit: Circuit, store: Store) -> None:
    with pytest.raises(KeyError):
        ask(circuit, KeyError("x"))
    assert store.last_trouble == 0
    ask(circuit)


def test_a_deletion_it_did_not_hear_of_is_trouble(
    circuit: Circuit, store: Store
) -> None:
    """A copy that was written during the pause, by others, is not believed either."""
    with time_machine.travel("2030-01-01T12:00:00Z", tick=False) as clock:
        with pytest.raises(StoreUnavailable):
            ask(circuit, Away("gone"))
        failed = store.last_trouble
        clock.shift(1)
        with pytest.raises(StoreUnavailable):
            ask(circuit)
        assert store.last_trouble == failed
        with pytest.raises(StoreUnavailable):
            ask(circuit, deleting=True)
        assert store.last_trouble == failed + 1
