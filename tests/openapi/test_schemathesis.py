"""schemathesis plays every operation of the document, with all its checks.

It makes what the document allows and what it does not, each of them many times over,
on the real gunicorn: nothing may fail, and nothing may be answered in another way than
is written.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import KEY, TOKEN
from tests.browser import Browser
from tests.servers import ROOT, Gunicorn

HERE = Path(__file__).parent
EXAMPLES = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gunicorn]:
    settings = {"ENCRYPTION_KEYS": KEY, "API_LIMIT": "1000000/1s"}
    server = Gunicorn(tmp_path, **settings).start()
    yield server
    server.close()


def token_of(server: Gunicorn) -> str:
    browser = Browser(server.client(), "anna").sign_up()
    browser.submit(
        "/account/tokens", name="all", access="write", secrets="yes", expires="never"
    )
    found = TOKEN.search(browser.page.text)
    assert found, browser.text
    return found[0]


@pytest.mark.parametrize("if_match", ["optional", "needed"])
def test_nothing_is_otherwise_than_the_document_says(
    server: Gunicorn, if_match: str
) -> None:
    token = token_of(server)
    server.kill()
    server.settings["API_IF_MATCH"] = if_match
    server.start()
    done = subprocess.run(  # noqa: S603
        [
            str(Path(sys.executable).parent / "schemathesis"),
            f"--config-file={HERE / 'schemathesis.toml'}",
            *("run", f"{server.url}/api/openapi.json", "--checks=all"),
            *(f"--max-examples={EXAMPLES}", f"--header=Authorization: Bearer {token}"),
        ],
        cwd=server.log.parent,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.openapi.hooks",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    played = re.search(r"(\d+) generated", done.stdout)
    assert played, done.stdout
    assert int(played[1]) > 500
    assert "Tested: 13" in done.stdout, "every operation"
    assert "Traceback" not in server.log.read_text()
