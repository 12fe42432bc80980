"""A person's browser: opens pages, fills in their forms, follows redirects.

Works on Flask's test client and on httpx against a real server alike.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from lxml import html

PASSWORD = "quiet-harbour-seven-boats"


@dataclass
class Browser:
    """What one person sees; `name` is who they log in as."""

    client: Any
    name: str = ""
    password: str = PASSWORD
    page: Any = field(default=None, repr=False)
    _parsed: Any = field(default=(None, None), repr=False)

    def open(self, path: str) -> "Browser":
        self.page = self.client.get(path, follow_redirects=True)
        return self

    def submit(self, path: str, **fields: str) -> "Browser":
        """Open the page, fill in the form that has these fields, and send it."""
        return self.open(path).send(**fields)

    def send(self, action: str = "", **fields: str) -> "Browser":
        """Fill in and send the form of the page in hand."""
        form = self._form(action, fields)
        data = dict(form.form_values()) | fields
        self.page = self.client.post(
            action or form.action or self.path,
            data=data,
            headers={"Sec-Fetch-Site": "same-origin"},
            follow_redirects=True,
        )
        return self

    def sign_up(self) -> "Browser":
        return self.submit("/signup", name=self.name, password=self.password)

    def log_in(self) -> "Browser":
        return self.submit("/login", name=self.name, password=self.password)

    def enter(self, path: str) -> "Browser":
        """Sign up or log in without a look at any page; half of what that takes."""
        self.page = self.client.post(
            path,
            data={"name": self.name, "password": self.password},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert self.page.status_code == 303, self.text
        return self

    def log_out(self) -> "Browser":
        return self.open("/").send(action="/logout")

    def keep(self, key: str, value: str, kind: str = "text") -> "Browser":
        return self.submit("/entries/new", key=key, value=value, kind=kind)

    def address(self, key: str) -> str:
        """Where the entry is, searched for by the key."""
        address = self.open(f"/entries?q={quote(key)}").link_to(key)
        return self.open(address).path if address.startswith("/entry/") else address

    def link_to(self, key: str) -> str:
        """Where the link to an entry leads; of a long key lists have the beginning."""
        links = self.links()
        cut = [text for text in links if text[-1:] == "…" and key.startswith(text[:-1])]
        return links[key] if key in links else links[cut[0]]

    def links(self) -> dict[str, str]:
        return {link.text_content(): link.get("href") for link in self.tree.iter("a")}

    def value(self, key: str) -> str:
        """The value as the page of the entry shows it, all of it."""
        if whole := self.open(self.address(key)).links().get("Show all of it"):
            self.open(whole)
        return str(self.tree.xpath("//pre")[0].text or "")

    @property
    def tree(self) -> Any:
        page, tree = self._parsed
        if page is not self.page:
            tree = html.document_fromstring(self.page.text)
            for element in tree.iter("pre", "textarea"):
                # The HTML standard drops a line break there; lxml keeps it.
                element.text = (element.text or "").removeprefix("\n")
            self._parsed = self.page, tree
        return tree

    @property
    def text(self) -> str:
        return " ".join(self.tree.find("body").text_content().split())

    @property
    def status(self) -> int:
        return int(self.page.status_code)

    @property
    def path(self) -> str:
        request = self.page.request
        return urlsplit(str(request.url)).path

    @property
    def is_logged_in(self) -> bool:
        """Whether the page has this person's name and a way to log out."""
        return "Log out" in self.text and bool(
            self.tree.xpath("//*[@class='who'][text()=$name]", name=self.name)
        )

    def _form(self, action: str, fields: dict[str, str]) -> Any:
        forms = [form for form in self.tree.forms if _fits(form, action, fields)]
        assert len(forms) == 1, f"{len(forms)} forms with {list(fields)} in {self.text}"
        return forms[0]


def _fits(form: Any, action: str, fields: dict[str, str]) -> bool:
    if action:
        buttons = form.xpath(".//button[@formaction=$action]", action=action)
        return bool(form.action == action or buttons)
    return set(fields) <= set(form.fields.keys())
