"""The limits on tries, set from outside as the settings describe them."""

from tests.faults.people import Tab, new_name
from tests.servers import Gunicorn


def test_limits_set_in_the_environment_are_in_force(server: Gunicorn) -> None:
    server.settings["LOGIN_LIMIT_SOURCE"] = "2/1h"
    server.settings["LOGIN_LIMIT_EVERYONE"] = "1000/1h"
    server.settings["SIGN_UP_LIMIT_SOURCE"] = "1/1h"
    server.start()
    tries = [Tab(server).log_in(new_name(), "wrong").status_code for _ in range(3)]
    assert tries == [401, 401, 429]
    Tab(server).sign_up(new_name())
    form = {"name": new_name(), "password": "five-quiet-boats-at-sea"}
    assert Tab(server).post("/signup", **form).status_code == 429
