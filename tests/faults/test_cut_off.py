"""A form whose connection is cut before its end changes nothing."""

import socket
from urllib.parse import quote_plus

import pytest

from tests.faults.people import Tab, new_name
from tests.faults.site import Site
from tests.faults.wire import Reply, compose, connect

pytestmark = pytest.mark.fault("R16")

BEFORE = "The harbour is quiet."
AFTER = "The harbour is loud, and so is everything else around it."
MULTIPART = b"Content-Type: multipart/form-data; boundary=b\r\n"
URL_ENCODED = b"Content-Type: application/x-www-form-urlencoded\r\n"


def _cut(site: Site, tab: Tab, path: bytes, body: bytes, *, half: bool) -> Reply:
    """Send what is there of a body of 50 bytes more, then close, whole or half."""
    cookie = b"Cookie: session=%s\r\n" % tab.cookie.encode()
    kind = MULTIPART if body.startswith(b"--b") else URL_ENCODED
    whole = compose(b"POST", path, cookie + kind, body + b"." * 50)
    content = b""
    with connect(site.first) as line:
        line.sendall(whole[:-50])
        if half:
            line.shutdown(socket.SHUT_WR)
            while piece := line.recv(65_536):
                content += piece
    return Reply(content, 0)


def _form(tab: Tab, kind: str) -> bytes:
    fields = {"form_token": tab.form_token(), "version": "1", "value": AFTER}
    if kind == "multipart":
        part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
        return "".join(part.format(*field) for field in fields.items()).encode()
    return "&".join(f"{name}={quote_plus(v)}" for name, v in fields.items()).encode()


@pytest.mark.parametrize("half", [True, False], ids=["half-close", "close"])
@pytest.mark.parametrize("kind", ["form", "multipart"])
def test_a_form_that_was_cut_off_changes_nothing(
    single: Site, kind: str, half: bool
) -> None:
    _, tab = single.new_person()
    tab.keep("diary", BEFORE)
    reply = _cut(single, tab, b"/entries/diary/edit", _form(tab, kind), half=half)
    if half:
        assert reply.status == 400
        assert b"<h1>" in reply.content
    # Of a connection that is closed nobody can tell when the server has seen it.
    missing = new_name()
    assert tab.get(f"/{missing}").status_code == 404
    assert single.first.has_logged(missing)
    page = tab.get("/entries/diary").text
    assert BEFORE in page
    assert AFTER[:10] not in page.replace(BEFORE, "")
    assert "Traceback" not in single.first.log.read_text()
