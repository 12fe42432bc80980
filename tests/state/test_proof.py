"""The account that `flask state prove` makes; the proof itself is tests/faults'."""

from collections.abc import Callable
from typing import NoReturn

import pytest

from config.settings import Settings
from webapp.state.proof import NotServed, Proof

pytestmark = pytest.mark.embedded


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"password_min_length": 128})


def test_its_password_is_as_long_as_passwords_have_to_be(
    operator: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def serving(_proof: Proof) -> NoReturn:
        raise NotServed("It got as far as this.")

    monkeypatch.setattr(Proof, "_serving", serving)
    assert "It got as far as this." in operator("state prove", status=1)
    assert operator("user list") == "0 accounts.\n"
