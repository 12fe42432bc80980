"""docs/api.md says what is so: its examples run against the application."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests.api.conftest import new_token
from tests.browser import Browser
from tests.servers import ROOT
from tests.test_docs import _matches, _table
from webapp.programs import PROBLEMS

DOCUMENT = (ROOT / "docs" / "api.md").read_text("utf-8")
EXAMPLE = re.compile(r"```(sh|py)\n(.*?)```\n```text\n(.*?)```", re.DOTALL)


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_example_says_what_it_shows(app: Flask, site: str) -> None:
    """One after the other, as somebody who reads them would."""
    anna = Browser(app.test_client(), "anna").enter("/signup")
    outside = {"SITE": site, "TOKEN": new_token(anna, name="docs")}
    examples = EXAMPLE.findall(DOCUMENT)
    assert len(examples) == DOCUMENT.count("```text")
    assert len(examples) >= 9
    for language, code, shown in examples:
        program = ["bash", "-ec"] if language == "sh" else [sys.executable, "-c"]
        done = subprocess.run(  # noqa: S603
            [*program, code],
            env=os.environ | outside,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        assert _matches(done.stdout.rstrip("\n"), shown.rstrip("\n"))


def test_every_kind_of_problem_is_documented() -> None:
    expected = [
        [f"`/api#problem-{name}`", str(int(kind.status)), kind.title]
        for name, kind in PROBLEMS.items()
    ]
    assert _table("problems", DOCUMENT) == expected
