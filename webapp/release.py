"""Which release this is: a hash of everything that the application is made of."""

import hashlib
from functools import cache
from pathlib import Path


@cache
def release_of(folder: Path) -> str:
    """Hash the files below the folder by name and content; 12 hexadecimal digits.

    Two releases that run side by side tell each other apart by it, on any platform and
    without git. A process runs the files that it began with.
    """
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*.*")):
        if file.is_file() and "__pycache__" not in file.parts:
            found.update(str(file.relative_to(folder)).encode())
            found.update(file.read_bytes())
    return found.hexdigest()[:12]
