"""Files that entries are imported from, and sending them."""

from io import BytesIO
from typing import Any

from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from tests.browser import Browser


def send(browser: Browser, content: str | bytes, mode: str = "replace") -> Browser:
    """Choose the file on the page of the import, and send it."""
    form = browser.open("/entries/import")._form("/entries/import", {})
    data = content.encode() if isinstance(content, str) else content
    file = FileStorage(BytesIO(data), "file.txt")
    # Werkzeug's client would do it as well, and leave a file open for what is large.
    boundary, body = encode_multipart(
        dict(form.form_values()) | {"mode": mode, "file": file}
    )
    browser.page = browser.client.post(
        "/entries/import",
        data=body,
        content_type=f"multipart/form-data; boundary={boundary}",
        headers={"Sec-Fetch-Site": "same-origin"},
        follow_redirects=True,
    )
    return browser


def take(browser: Browser, content: str | bytes, mode: str = "replace") -> Browser:
    """Send the file and do what it says."""
    send(browser, content, mode)
    assert browser.status == 200, browser.text
    return run(browser)


def run(browser: Browser) -> Browser:
    """Press the button, and wait for the end of the page."""
    browser.send(action_of(browser, "run"))
    _ = browser.page.text
    return browser


def action_of(browser: Browser, act: str) -> str:
    """Where the form of the page of an import leads that does this."""
    return str(browser.tree.xpath(f"//form/@action[contains(., '/{act}')]")[0])


def export(browser: Browser, kind: str) -> bytes:
    answer = browser.client.get(f"/entries/export/entries.{kind}")
    assert answer.status_code == 200
    return bytes(answer.data)


def figures(browser: Browser) -> dict[str, str]:
    """What the page says would come of a file."""
    found = browser.tree.xpath("//dl[@class='figures']/div")
    return {part[0].text: part[1].text_content() for part in found}


def mistakes(browser: Browser) -> list[str]:
    lines: Any = browser.tree.xpath("//ul[@class='lines']/li")
    return [" ".join(line.text_content().split()) for line in lines]
