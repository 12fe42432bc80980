"""cachelib stores by URL, for session data and for cached values.

Every store keeps JSON, raises StoreUnavailable instead of answering "missing" when
it is in trouble, and never brings back what was deleted: see `Store.replace`.
"""

from importlib.util import find_spec
from urllib.parse import unquote

from config.mistakes import RefusedToStart, without_password
from config.urls import split_url
from webapp.stores.file import FileStore
from webapp.stores.interface import LARGEST_VALUE, Measure, Store
from webapp.stores.memory import MemoryStore

__all__ = ["LARGEST_VALUE", "Measure", "Store", "open_store"]

# The drivers of what few use, each an extra of the same name as the scheme.
EXTRAS = {"memcached": "pymemcache", "mongodb": "pymongo"}


def open_store(url: str, name: str, *, any_certificate: bool = False) -> Store:
    """Open the store at the URL; `name` keeps two stores at one server apart.

    Asks nothing of a server yet: the application starts without it. With
    `any_certificate` a `rediss://` server can have signed its own. Raises
    RefusedToStart when a folder cannot be made or written, the URL not be used, or
    its driver is not installed.
    """
    scheme = split_url(url).scheme.partition("+")[0]
    if scheme == "memory":
        return MemoryStore()
    if scheme == "file":
        folder = unquote(split_url(url).path)
        try:
            return FileStore(folder)
        except OSError as error:
            raise RefusedToStart(f"{folder}: {error.strerror}") from error
    driver = EXTRAS.get(scheme)
    if driver and not find_spec(driver):
        raise RefusedToStart(
            f"{scheme}:// needs {driver}, which is not installed. Run `bin/setup "
            "extras` or `pip install -r requirements-extras.txt`; in pyproject.toml "
            f"it is the extra `{scheme}`."
        )
    try:
        return _open_server(scheme, url, name, any_certificate=any_certificate)
    except ValueError as error:
        raise RefusedToStart(f"{without_password(url)}: {error}") from error


def _open_server(scheme: str, url: str, name: str, *, any_certificate: bool) -> Store:
    # Each here, because a driver takes 5 MB and more that nobody needs without it.
    if scheme == "memcached":
        from webapp.stores.memcached import MemcachedStore  # noqa: PLC0415

        return MemcachedStore(url, f"holdfast:{name}:")
    if scheme == "mongodb":
        from webapp.stores.mongodb import MongoStore  # noqa: PLC0415

        return MongoStore(url, f"holdfast_{name}")
    from webapp.stores.redis import RedisStore  # noqa: PLC0415

    return RedisStore(url, f"holdfast:{name}:", any_certificate=any_certificate)
