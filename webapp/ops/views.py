"""For machines that watch: whether the application is alive."""

from flask import Blueprint

from webapp.sessions.guard import public

blueprint = Blueprint("ops", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> tuple[str, dict[str, str]]:
    """Say that the process can answer."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}
