"""Static files: read once, compressed then, and kept by browsers under hashed names.

`style.css` is linked as `style.<hash>.css`. Under any other name of it the newest is
served and not kept: a page of another release, which runs beside this one for a while,
finds its file here as well. A script it takes only when it is its own: pages name each
script's hash (Subresource Integrity), and work without it.
"""

import base64
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, request
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp.compression import accepts_gzip, compress

YEAR = 365 * 24 * 3600
FOR_EVER = f"public, max-age={YEAR}, immutable"
HASHED = re.compile(r"(.+)\.[0-9a-f]{12}(\.\w+)")
IMPORTED = re.compile(rb'(?<= from "\./)[\w.]+(?=";\n)')
# What Python says depends on its version and on the machine, whose list of 1,700 types
# it would read at each start.
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent; `compressed` is None where that saves nothing."""

    hashed_name: str
    mimetype: str
    content: bytes
    compressed: bytes | None

    @property
    def hash(self) -> str:
        return self.hashed_name.split(".")[-2]

    @property
    def integrity(self) -> str:
        digest = hashlib.sha256(self.content).digest()
        return f"sha256-{base64.b64encode(digest).decode()}"


def init_static_files(app: Flask) -> None:
    """Serve the static folder from memory, and link its files by hashed names."""
    files = _read_all(Path(app.static_folder or ""))
    integrity = {name: file.integrity for name, file in files.items()}

    def use_hashed_name(endpoint: str, values: dict[str, object]) -> None:
        if endpoint == "static" and (file := files.get(str(values["filename"]))):
            values["filename"] = file.hashed_name

    def serve(filename: str) -> WerkzeugResponse:
        name = HASHED.sub(r"\1\2", filename)
        file = files.get(filename) or files.get(name) or abort(404)
        return _answer(file, is_hashed=filename == file.hashed_name)

    app.url_defaults(use_hashed_name)
    app.jinja_env.globals["integrity"] = integrity
    app.view_functions["static"] = serve


def _read_all(folder: Path) -> dict[str, StaticFile]:
    files: dict[str, StaticFile] = {}
    for path in sorted(filter(Path.is_file, folder.rglob("*.*")), key=_comes_later):
        files[str(path.relative_to(folder))] = _read(path, folder, files)
    return files


def _comes_later(path: Path) -> tuple[bool, str]:
    """Order files so that a script comes after the one that it imports."""
    return bool(IMPORTED.search(path.read_bytes())), path.name


def _read(path: Path, folder: Path, others: dict[str, StaticFile]) -> StaticFile:
    """Read a file; what a script imports is named as the pages link it.

    Under two names a browser would fetch it twice and run it twice.
    """
    content = IMPORTED.sub(
        lambda found: others[found[0].decode()].hashed_name.encode(),
        path.read_bytes(),
    )
    digest = hashlib.sha256(content).hexdigest()[:12]
    name = path.with_name(f"{path.stem}.{digest}{path.suffix}")
    mimetype = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    compressed = compress(content)
    return StaticFile(
        str(name.relative_to(folder)),
        mimetype or "application/octet-stream",
        content,
        compressed if len(compressed) < len(content) else None,
    )


def _answer(file: StaticFile, *, is_hashed: bool) -> WerkzeugResponse:
    response = Response(file.content, mimetype=file.mimetype)
    response.set_etag(file.hash)
    if file.compressed:
        response.vary.add("Accept-Encoding")
        if accepts_gzip(request):
            response.data = file.compressed
            response.content_encoding = "gzip"
            # What differs byte by byte has another ETag (RFC 9110, 8.8.3).
            response.set_etag(f"{file.hash}-gzip")
    response.headers["Cache-Control"] = FOR_EVER if is_hashed else "no-cache"
    return response.make_conditional(request)
