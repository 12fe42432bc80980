"""Where settings come from: variables, files, Vault, AWS Secrets Manager.

`NAME_FILE` names a file; a value `vault:…` or `aws:…` names a secret. Each is read
once: what a process has read, those that it forks are born with.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.mistakes import Unavailable
from config.secret_places import Answer, Wanted, ask

# How Vault is reached, by the names of its own tools; each can be in a file as well.
VAULT_VARIABLES = {
    "VAULT_ADDR": "Where Vault is, like `https://vault.example:8200`.",
    "VAULT_TOKEN": "The token to show; or else the next two.",
    "VAULT_ROLE_ID": "AppRole's role ID.",
    "VAULT_SECRET_ID": "AppRole's secret ID.",
    "VAULT_NAMESPACE": "The namespace, where Vault has some.",
    "VAULT_CACERT": "File of the CA that signed Vault's certificate, where it is one "
    "of your own.",
}
# The first group is what is asked for, the second the field in it.
FORMS = {
    "vault": (r"vault:([^#/]+/[^#]+)#([^#]+)", "vault:MOUNT/PATH#FIELD"),
    "aws": (r"aws:([\w/+=.@:!-]+)(?:#([^#]+))?", "aws:NAME or aws:NAME#FIELD"),
}
LARGEST_FILE = 65_536

# The text of each file, and the versions of each secret, that were read.
_known: dict[Any, Any] = {}


@dataclass
class Fetched:
    """What was found, by the names of settings.

    `origins` has those that do not come from their variable: the origin is shown to the
    operator, the value never.
    """

    values: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    mistakes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    place: str
    path: str
    field: str | None


def fetch(
    names: Iterable[str], joined: Mapping[str, Callable[[list[str]], str]]
) -> Fetched:
    """Find what these settings are given; what is empty is unset.

    A setting that is `joined` is made of all versions of its secret, newest first; of
    any other the current one counts.
    """
    found, environment = Fetched(), _environment()
    references: dict[str, Reference] = {}
    for name in names:
        try:
            origin, value = _given(name, environment)
            reference = _reference(name, value)
        except Unavailable as reason:
            found.mistakes[name] = str(reason)
            continue
        if reference:
            references[name] = reference
            found.origins[name] = f"{name.upper()}={value}"
        elif value:
            found.values[name] = value
            if origin:
                found.origins[name] = origin
    answers = _answers(references, joined)
    for name, each in references.items():
        try:
            found.values[name] = _value(each, answers, joined.get(name))
        except Unavailable as reason:
            found.mistakes[name] = f"{found.origins[name]}: {reason}"
    return found


def forget() -> dict[Any, Any]:
    """Read all of it anew from now on; return what was known."""
    known = _known.copy()
    _known.clear()
    return known


def remember(known: Mapping[Any, Any]) -> None:
    """Go back to what was known before."""
    _known.clear()
    _known.update(known)


def _environment() -> dict[str, str]:
    """Return all variables, by names whose case does not matter."""
    return {name.lower(): value for name, value in os.environ.items()}


def _given(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the file that a value is in, if it is in one, and the value."""
    value, file = (environment.get(name.lower() + end, "") for end in ("", "_file"))
    if not file:
        return "", value
    if value:
        raise Unavailable(f"{name.upper()} and {name.upper()}_FILE: set one of them")
    origin = f"{name.upper()}_FILE={file}"
    try:
        if file not in _known:
            _known[file] = _text_of(Path(file))
    except Unavailable as reason:
        raise Unavailable(f"{origin}: {reason}") from None
    return origin, _known[file]


def _text_of(file: Path) -> str:
    try:
        # Opening a pipe that nobody writes to would never end.
        if not stat.S_ISREG(file.stat().st_mode):
            raise Unavailable("is no regular file")
        with file.open(encoding="utf-8-sig") as opened:
            text = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Unavailable(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unavailable("is no UTF-8 text") from None
    if len(text) > LARGEST_FILE:
        raise Unavailable(f"is longer than {LARGEST_FILE} characters")
    return _trimmed(text)


def _trimmed(text: str) -> str:
    """Leave out the one newline that editors and `echo` put at the end."""
    text = text.removesuffix("\n").removesuffix("\r")
    # Unset would be something else: SQLite instead of a database server.
    if not text:
        raise Unavailable("is empty")
    return text


def _reference(name: str, value: str) -> Reference | None:
    place, colon, _ = value.partition(":")
    if not colon or place not in FORMS:
        return None
    pattern, form = FORMS[place]
    if found := re.fullmatch(pattern, value):
        return Reference(place, found[1], found[2])
    # It may be no reference but a secret that happens to begin like one.
    raise Unavailable(f"{name.upper()}={place}:***: write {form}")


def _answers(
    references: Mapping[str, Reference], joined: Container[str]
) -> dict[Wanted, Answer]:
    """Ask each place once, for all that is not known yet."""
    wanted = {Wanted(each.place, each.path) for each in references.values()}
    wanted |= {
        Wanted(each.place, each.path, former=True)
        for name, each in references.items()
        if name in joined
    }
    answers: dict[Wanted, Answer] = {
        each: _known[each] for each in wanted & _known.keys()
    }
    for place in FORMS:
        asked = sorted(each for each in wanted - _known.keys() if each.place == place)
        if not asked:
            continue
        try:
            answers |= ask(place, _variables(place), asked)
        except Unavailable as reason:
            answers |= dict.fromkeys(asked, str(reason))
    # What could not be had may be there the next time.
    _known.update(item for item in answers.items() if not isinstance(item[1], str))
    return answers


def _variables(place: str) -> dict[str, str]:
    names = VAULT_VARIABLES if place == "vault" else ()
    environment = _environment()
    return {name: value for name in names if (value := _given(name, environment)[1])}


def _value(
    reference: Reference,
    answers: Mapping[Wanted, Answer],
    join: Callable[[list[str]], str] | None,
) -> str:
    wanted = Wanted(reference.place, reference.path)
    texts = [_text(_checked(answers[wanted])[0], reference.field)]
    if not join:
        return texts[0]
    for version in _checked(answers[wanted._replace(former=True)]):
        # It may be from when the secret had other fields.
        with suppress(Unavailable):
            texts.append(_text(version, reference.field))
    return join(texts)


def _checked(answer: Answer) -> list[Any]:
    if isinstance(answer, str):
        raise Unavailable(answer)
    return answer


def _text(version: Any, field: str | None) -> str:
    if field and isinstance(version, str):
        try:
            version = json.loads(version)
        except ValueError:
            raise Unavailable("the secret is no JSON object") from None
    if field:
        if not isinstance(version, dict):
            raise Unavailable("the secret is no JSON object")
        if field not in version:
            raise Unavailable(f"the secret has no field {field}")
        version = version[field]
    return _trimmed(version if isinstance(version, str) else json.dumps(version))
