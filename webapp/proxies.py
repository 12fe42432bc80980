"""What the reverse proxies in front say: whose request it is, and how it came."""

from collections.abc import Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, redirect, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from config.addresses import without_port
from webapp.errors import Forbidden
from webapp.web import SAFE_METHODS, own_address

# Those who watch ask from inside, without TLS.
FOR_MACHINES = ("/healthz", "/readyz", "/metrics")


def init_proxies(app: Flask, trusted: int, *, redirects: bool) -> None:
    """Believe the last `trusted` values of the headers that proxies add to."""
    if not trusted:
        return
    named = _leaving_out_port(app.wsgi_app)
    fixed = ProxyFix(named, x_for=trusted, x_proto=trusted)
    # Many a router names the scheme once, however many stand in front: first the
    # nearest's word for it, then the farthest's that is trusted.
    app.wsgi_app = ProxyFix(fixed, x_for=0, x_proto=1)  # type: ignore[method-assign]
    if redirects:
        app.before_request(send_on_to_https)


def send_on_to_https() -> Response | None:
    """Redirect what came to the proxy without TLS; raises Forbidden for a form.

    A form has been read by whoever listens: the page it is on must be https already.
    """
    is_known = bool(request.headers.get("X-Forwarded-Proto"))
    if request.scheme != "http" or not is_known or request.path in FOR_MACHINES:
        return None
    if request.method not in SAFE_METHODS:
        raise Forbidden("This address takes forms by https:// only.")
    host = request.host.removesuffix(":80")
    return redirect(f"https://{host}{own_address()}", HTTPStatus.PERMANENT_REDIRECT)


def _leaving_out_port(wsgi_app: WSGIApplication) -> WSGIApplication:
    def serve(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = without_port(environ.get("REMOTE_ADDR", ""))
        return wsgi_app(environ, start)

    return serve
