"""What texts weigh in a page, and how much of one it shows: pages are to be light.

All weights are bytes of HTML in UTF-8, before any compression.
"""

from bisect import bisect_right
from collections.abc import Callable

from markupsafe import Markup, escape

# Of a character: `&amp;` and `&#34;`.
HEAVIEST = 5


def weigh(text: str) -> int:
    return len(escape(text).encode())


def weigh_value(text: str) -> int:
    return len(as_value(text).encode())


def as_value(text: str) -> Markup:
    """Escape what stands inside an element, where quotation marks are as good as any.

    Not for attributes. JSON is half as long so.
    """
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;"))  # noqa: S704


def cut(text: str, most: int) -> str:
    """Return the text, or what weighs `most` of its beginning, and an ellipsis."""
    if len(text) * HEAVIEST <= most:
        return text
    fitting = count_fitting(text, most)
    return text if fitting == len(text) else f"{text[:fitting]}…"


def count_fitting(text: str, most: int, weigh: Callable[[str], int] = weigh) -> int:
    """Return how many of its first characters weigh at most that much."""
    lengths = range(1, min(len(text), most) + 1)
    return bisect_right(lengths, most, key=lambda length: weigh(text[:length]))
