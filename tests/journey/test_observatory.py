"""MDN's HTTP Observatory gives A+ and every point, on https behind a proxy."""

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import PASSWORD
from tests.journey.checkers import OBSERVATORY
from tests.proxies import Nginx
from tests.servers import Gunicorn, required

# 100, and what is given for more than is needed.
MOST = 145
# What no test can have: 5 points for being on the list that browsers come with, see
# hstspreload.org. And a visitor is given no cookies, for which there are 5 as well.
IN_NO_LIST = {
    "strict-transport-security": "hsts-implemented-max-age-at-least-six-months"
}
NO_COOKIES = {"cookies": "cookies-not-found"}


class Router(Nginx):
    """As at its usual ports, where http and https are one host."""

    def _write(self) -> None:
        super()._write()
        file = self.folder / "nginx.conf"
        host = f"127.0.0.1:{self.port}"
        file.write_text(file.read_text("utf-8").replace("$http_host", host))


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    folder = tmp_path_factory.mktemp("router")
    server = Gunicorn(folder, TRUSTED_PROXIES="1").start()
    router = Router(folder, [f"127.0.0.1:{server.port}"], https=True)
    try:
        yield router.start()
    finally:
        router.kill()
        server.close()


@pytest.fixture(scope="module")
def cookies(router: Router) -> list[str]:
    """Make an account, and return what the answer sets."""
    trusted = ssl.create_default_context(cafile=router.certificate)
    typed = {"name": "anna", "password": PASSWORD}
    with router.client(verify=trusted) as client:
        answer = client.post("/signup", data=typed)
    assert answer.is_redirect
    return answer.headers.get_list("Set-Cookie")


@pytest.mark.parametrize("path", ["/", "/signup", "/login", "/api"])
def test_what_a_visitor_sees_has_every_point(router: Router, path: str) -> None:
    judged = _judge(router, path, [])
    assert _lacking(judged) == IN_NO_LIST | NO_COOKIES
    assert (judged["grade"], judged["score"]) == ("A+", MOST - 10)


@pytest.mark.parametrize("path", ["/entries", "/entries/new", "/account"])
def test_what_a_person_sees_has_every_point(
    router: Router, cookies: list[str], path: str
) -> None:
    judged = _judge(router, path, cookies)
    assert _lacking(judged) == IN_NO_LIST
    assert (judged["grade"], judged["score"]) == ("A+", MOST - 5)


def _judge(router: Router, path: str, set_cookie: list[str]) -> Any:
    node = required(shutil.which("node"), "node on the PATH: bin/setup dev installs it")
    asked = {
        "host": "127.0.0.1",
        "path": path,
        "httpPort": router.plain_port,
        "httpsPort": router.port,
        "cookie": "; ".join(each.partition(";")[0] for each in set_cookie),
        "setCookie": set_cookie,
    }
    certificate = str(router.certificate)
    said = subprocess.run(  # noqa: S603
        [node, str(OBSERVATORY), json.dumps(asked)],
        env={"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": certificate},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    judged = json.loads(said.stdout)
    assert judged["status"] == 200
    assert judged["most"] == MOST, "The Observatory has other rules than before"
    return judged


def _lacking(judged: Any) -> dict[str, str]:
    """Return what could have more points, and why it has not."""
    return {
        topic["name"]: topic["result"]
        for topic in judged["topics"]
        if topic["points"] < topic["most"]
    }
