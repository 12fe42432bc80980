"""What JSON Schema has no words for, for schemathesis.

An end is later than now, and a cursor comes from an earlier answer.
"""

import re
from typing import Any

import schemathesis

YEAR = re.compile(r"^\d{4}")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    put_off(case.query)
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)
    if isinstance(case.body, dict):
        for step in case.body.get("operations", []):
            put_off(step)


def put_off(given: Any) -> None:
    """Have what ends end in this century, and later than now."""
    if isinstance(given, dict) and isinstance(given.get("expires_at"), str):
        given["expires_at"] = YEAR.sub("2096", given["expires_at"])
