"""JSON that is compared is spread out, and nothing else is done to it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.entries.comparing import compare

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('a"\\,:[]{}\né ', max_size=6),
    lambda kids: (
        st.lists(kids, max_size=3) | st.dictionaries(st.text(max_size=4), kids)
    ),
    max_leaves=9,
)
STYLES = [
    {"separators": (",", ":")},
    {"indent": 3, "ensure_ascii": False},
    {"separators": ("  ,\n", "\t:")},
]


@given(value=VALUES)
def test_the_same_value_is_the_same_however_it_is_typed(value: object) -> None:
    for style in STYLES:
        typed = json.dumps(value, **style)  # type: ignore[arg-type]
        assert compare(json.dumps(value), typed, is_json=True) == []
    # Something that is nowhere in it, so that all of it is a difference.
    lines = compare('"none of it"', json.dumps(value), is_json=True)
    added = "\n".join(line.text for line in lines if line.change == "added")
    if value != "none of it":
        assert added == json.dumps(value, indent=2, ensure_ascii=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"a":12345678901234567890.12}', '{"a":12345678901234567890.34}'),
        ('{"price": 19.999999999999999999}', '{"price": 20.0}'),
        ("1.10", "1.1"),
        ("1e400", "1e401"),
        ('{"a":1,"a":2}', '{"a":3,"a":2}'),
    ],
)
def test_numbers_and_names_are_compared_as_they_stand(old: str, new: str) -> None:
    lines = compare(old, new, is_json=True)
    assert {line.change for line in lines} >= {"removed", "added"}
