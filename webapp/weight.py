"""What texts weigh in a page, and how much of one it shows: pages are to be light.

All weights are bytes of HTML in UTF-8, before any compression.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from urllib.parse import quote, unquote

from markupsafe import Markup, escape

# Of a character: `&amp;` and `&#34;`.
HEAVIEST = 5
# Characters beyond ASCII, as an address has them.
ENCODED = re.compile(r"(?:%[89A-F][0-9A-F])+")


def weigh(text: str) -> int:
    return len(escape(text).encode())


def weigh_value(text: str) -> int:
    return len(as_value(text).encode())


def as_value(text: str) -> Markup:
    """Escape what stands inside an element, where quotation marks are as good as any.

    Not for attributes. JSON is half as long so.
    """
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;"))  # noqa: S704


def as_iri(address: str) -> str:
    """Write what is beyond ASCII as it is: a third of the bytes."""
    return ENCODED.sub(lambda found: unquote(found[0]), address)


def weigh_in_address(text: str) -> int:
    # An apostrophe stays as it is there, and is escaped in HTML.
    return weigh(as_iri(quote(text, safe="'")))


def cut(text: str, most: int) -> str:
    """Return the text, or what weighs `most` of its beginning, and an ellipsis."""
    if len(text) * HEAVIEST <= most:
        return text
    fitting = count_fitting(text, most)
    return text if fitting == len(text) else f"{text[:fitting]}…"


def cut_value(text: str, most: int) -> Markup:
    """As `cut`, of what stands inside an element (see `as_value`)."""
    fitting = count_fitting(text, most, weigh_value)
    return as_value(text if fitting == len(text) else f"{text[:fitting]}…")


def count_fitting(text: str, most: int, weigh: Callable[[str], int] = weigh) -> int:
    """Return how many of its first characters weigh at most that much."""
    if weigh(text[:most]) <= most:  # As most of what is written in ASCII.
        return min(len(text), most)
    lengths = range(1, min(len(text), most) + 1)
    return bisect_right(lengths, most, key=lambda length: weigh(text[:length]))
