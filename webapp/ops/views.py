"""For machines that watch: is it alive, is it ready, what was counted."""

import hmac
import ipaddress
from http import HTTPStatus

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from webapp.errors import Forbidden
from webapp.ops.exposition import Exposition
from webapp.ops.readiness import Readiness
from webapp.ops.watch import init_watch
from webapp.sessions.guard import public

blueprint = Blueprint("ops", __name__)

# What proxies add to a request; nginx adds nothing unless it is told to.
OF_PROXIES = (
    *("Forwarded", "Via", "X-Real-IP"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"),
)


def init_ops(app: Flask, readiness: Readiness, exposition: Exposition) -> None:
    app.extensions["readiness"] = readiness
    app.extensions["exposition"] = exposition
    app.register_blueprint(blueprint)
    init_watch(app, app.config["SETTINGS"].trusted_proxies)


@blueprint.get("/healthz")
@public
def healthz() -> tuple[str, dict[str, str]]:
    """Say that the process can answer."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/robots.txt")
@public
def robots() -> tuple[str, dict[str, str]]:
    """Let search engines read what is public; of the rest they see the log-in."""
    return "User-agent: *\nDisallow:\n", {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/readyz")
@public
def readyz() -> tuple[Response, HTTPStatus]:
    """Say of each part whether it answers, and in how many milliseconds."""
    readiness: Readiness = current_app.extensions["readiness"]
    parts = readiness.check()
    is_ready = all(part["ok"] for part in parts.values())
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return jsonify(ready=is_ready, parts=parts), status


@blueprint.get("/metrics")
@public
def metrics() -> Response:
    """Show Prometheus what was counted, to METRICS_TOKEN or to this machine."""
    exposition: Exposition = current_app.extensions["exposition"]
    if not _may_read(exposition.token):
        raise Forbidden("This is for the operator: set METRICS_TOKEN and send it.")
    return Response(
        generate_latest(exposition.registry), content_type=CONTENT_TYPE_LATEST
    )


def _may_read(token: str | None) -> bool:
    if token:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    # A proxy on this machine that nobody told us of asks for everybody.
    if not current_app.config["SETTINGS"].trusted_proxies and any(
        name in request.headers for name in OF_PROXIES
    ):
        return False
    # Of a proxy on another machine `127.0.0.1` is no more than what somebody wrote.
    named = (request.remote_addr, _peer())
    try:
        return all(ipaddress.ip_address(address or "").is_loopback for address in named)
    except ValueError:
        return False


def _peer() -> str | None:
    """Return who is connected to this process, whatever a header says."""
    before: dict[str, str] = request.environ.get("werkzeug.proxy_fix.orig", {})
    return before.get("REMOTE_ADDR") or request.remote_addr
