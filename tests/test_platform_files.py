"""The files that platforms read agree with the application and with each other."""

import json
import re
import shlex
import tomllib
from typing import Any

import pytest
from flask import Flask, request

from config.settings import Settings
from tests.servers import ROOT
from webapp import create_app
from webapp.sessions.guard import public

DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
# Seconds that requests in flight have: gunicorn.conf.py.
GRACE = 20


def read(name: str) -> Any:
    text = (ROOT / name).read_text()
    return tomllib.loads(text) if name.endswith(".toml") else json.loads(text)


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in map(_split, lines)}


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def health_paths() -> dict[str, str]:
    fly = read("fly.toml")["http_service"]["checks"]
    return {
        "app.json": read("app.json")["healthchecks"]["web"][0]["path"],
        "railway.json": read("railway.json")["deploy"]["healthcheckPath"],
        "fly.toml": fly[0]["path"],
    }


@pytest.mark.parametrize("name", health_paths())
def test_health_checks_are_answered(app: Flask, name: str) -> None:
    assert app.test_client().get(health_paths()[name]).status_code == 200


def commands() -> list[str]:
    """Every command that starts the web process somewhere."""
    quoted = re.findall(r"env BIND_ADDRESS[^`\n]*gunicorn", DEPLOY)
    assert len(quoted) == 2
    railway = read("railway.json")["deploy"]["startCommand"]
    return [procfile()["web"], railway, *quoted]


def test_the_web_process_needs_no_shell_to_set_its_variables() -> None:
    for command in commands():
        first, *variables, program = shlex.split(command)
        assert (first, program) == ("env", "gunicorn")
        names = [each.partition("=")[0].lower() for each in variables]
        assert names == ["bind_address", "trusted_proxies"]


# How each writes X-Forwarded-For: {} is the person, before it may stand what they sent.
ROUTERS = {
    "Procfile": "6.6.6.6, {}",  # Heroku, Dokku, Scalingo, Piku
    "fly.toml": "6.6.6.6, {}, 66.241.125.17",
    "railway.json": "{}, 152.233.33.5",
    "Render": "6.6.6.6, {}, 104.22.17.40",
    "Clever Cloud": "6.6.6.6, {}",
}


def proxies_trusted() -> dict[str, str]:
    places = ["Procfile", "railway.json", "Render", "Clever Cloud"]
    found = [
        re.search(r"TRUSTED_PROXIES=(?:\$\{TRUSTED_PROXIES:-)?(\d)", command)
        for command in commands()
    ]
    counts = [match[1] for match in found if match]
    own = {"fly.toml": str(read("fly.toml")["env"]["TRUSTED_PROXIES"])}
    return dict(zip(places, counts, strict=True)) | own


@pytest.mark.parametrize("place", ROUTERS)
def test_the_address_taken_is_the_persons(settings: Settings, place: str) -> None:
    changed = {"trusted_proxies": int(proxies_trusted()[place]), "plain_http": "served"}
    app = create_app(settings.model_copy(update=changed))
    app.add_url_rule("/ip", "ip", public(lambda: str(request.remote_addr)))
    headers = {"X-Forwarded-For": ROUTERS[place].format("203.0.113.9")}
    assert app.test_client().get("/ip", headers=headers).text == "203.0.113.9"


def test_variables_that_files_set_are_settings() -> None:
    image = next(
        line for line in read("captain-definition")["dockerfileLines"] if "ENV" in line
    )
    named = [*read("app.json")["env"], *read("fly.toml")["env"]]
    named += [each.partition("=")[0] for each in image.split()[1:]]
    assert {name.lower() for name in named} <= Settings.model_fields.keys()


def test_nobody_is_cut_off_before_the_grace_is_over() -> None:
    assert read("fly.toml")["kill_timeout"] > GRACE
    assert read("fly.toml")["kill_signal"] == "SIGTERM"
    assert read("railway.json")["deploy"]["drainingSeconds"] > GRACE
    assert f"graceful_timeout = {GRACE}" in (ROOT / "gunicorn.conf.py").read_text()


def test_the_version_of_python_is_the_same_everywhere() -> None:
    version = (ROOT / ".python-version").read_text().strip()
    image = read("captain-definition")["dockerfileLines"][0]
    assert image == f"FROM python:{version}-slim"
    assert f'requires-python = ">={version}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    "platform",
    ["Heroku", "Dokku", "Render", "Railway", "Fly", "Scalingo", "Clever Cloud",
     "CapRover"],
)  # fmt: skip
def test_each_platform_has_its_recipe(platform: str) -> None:
    assert f"\n## {platform}\n" in DEPLOY
