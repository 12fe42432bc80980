"""What is said of what cannot be taken, to people who know no parser."""

import pytest

from webapp.entries.inputs import explain_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its end comes too early at line 1, column 1."),
        ('{"a": 1', "its end comes too early at line 1, column 7."),
        ('{"a": }', "nothing that JSON knows as a value at line 1, column 7."),
        ("[1,\n]", "a comma too many at line 2, column 1."),
        ("{}\nx", "something after its end at line 2, column 1."),
        ("{a: 1}", "a key without double quotes at line 1, column 2."),
        ('"a\tb"', "a line break, a tab or the like inside a string at line 1, col"),
        ('"\\x"', "a backslash before something that needs none at line 1, column 3."),
        ('"\\ud800"', "half of a character at line 1, column 8."),
        ('"\\udc00\\ud800"', "half of a character at line 1, column 7."),
        ("[" * 300, "more than 200 levels, one in the other, at line 1, column 202."),
        ("9" * 5000, "a number with too many digits at line 1, column 4302."),
        ('{"a" 1}', "no colon after a key at line 1, column 6."),
    ],
)
def test_broken_json_is_explained_in_words(text: str, said: str) -> None:
    assert str(explain_json(text)).startswith(f"This is not JSON: {said}")


@pytest.mark.parametrize("text", ["0", '"\\ud83e\\udd80"', "[" * 200 + "]" * 200])
def test_json_is_nothing_to_explain(text: str) -> None:
    assert explain_json(text) is None
