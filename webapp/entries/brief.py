"""What a list shows of each entry: a part of what is long, so that the page is light.

The rest is on the page of the entry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import url_for

from webapp.database import AnyRow
from webapp.entries.inputs import ListQuery
from webapp.entries.models import labels_of
from webapp.weight import as_iri, cut, weigh, weigh_in_address

# Bytes (see `weight`) that an address takes before a number takes its place, that a key
# takes, of which three lines are shown, and the beginning of a value, of which one is.
MOST_OF_ADDRESS, MOST_OF_KEY, MOST_OF_PREVIEW = 80, 115, 80
# Those that all rows of a list have, and what each of them has beside the texts.
ROOM, ROW, TAG = 12_500, 235, 32
# What a label has beside its text, and the link to those that are left out.
LABEL, MORE = 35, 45
# Of all labels: the room of one page, and what each has beside its text.
LABELS_ROOM, LABEL_LINE = 12_000, 150


@dataclass(frozen=True)
class Brief:
    """A row of the list; `more` is how many labels are left out."""

    row: AnyRow
    address: str
    key: str
    preview: str
    labels: list[str]
    more: int


def in_brief(rows: Sequence[AnyRow], query: ListQuery) -> Iterator[Brief]:
    """Give the rows; their labels share the room that keys and previews leave."""
    texts = [
        (address_of(row), cut(row.key, MOST_OF_KEY), cut(row.preview, MOST_OF_PREVIEW))
        for row in rows
    ]
    # Of a search the words are in the field, and in up to four addresses.
    left = ROOM - 6 * weigh_in_address(query.q + query.label)
    left -= sum(ROW + sum(map(weigh, each)) for each in texts)
    left -= sum(TAG for row in rows if row.encrypted_by or row.kind == "json")
    with_labels = sum(bool(row.labels) for row in rows)
    share = left // with_labels - MORE if with_labels else 0
    for row, (address, key, preview) in zip(rows, texts, strict=True):
        labels = labels_of(row)
        shown = list(_fitting(labels, share + MORE))
        if len(shown) < len(labels):
            shown = list(_fitting(labels, share))
        more = len(labels) - len(shown)
        yield Brief(row, address, key, preview, shown, more)


def address_of(row: AnyRow) -> str:
    """Return where the entry is: of a long key an address that leads there."""
    address = url_for("entries.show", key=row.key)
    return in_short(address, "entries.by_number", row.id)


def in_short(address: str, endpoint: str, number: int) -> str:
    """Return the address, or where it is long for a list that of the number."""
    light = as_iri(address)
    if weigh(light) <= MOST_OF_ADDRESS:
        return light
    return url_for(endpoint, number=number)


def one_page_of(labels: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Give as many labels, and what is counted of each, as one page has room for."""
    room = LABELS_ROOM
    for label, count in labels:
        room -= LABEL_LINE + weigh(label) + weigh_in_address(label)
        if room < 0:
            return
        yield label, count


def _fitting(labels: Sequence[str], room: int) -> Iterator[str]:
    for label in labels:
        room -= LABEL + weigh(label) + weigh_in_address(label)
        if room < 0:
            return
        yield label
