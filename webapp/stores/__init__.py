"""cachelib stores by URL, for session data and for cached values.

Every store keeps JSON, raises StoreUnavailable instead of answering "missing" when
it is in trouble, and never brings back what was deleted: see `Store.replace`.
"""

from urllib.parse import unquote, urlsplit

from config.settings import RefusedToStart
from webapp.stores.file import FileStore
from webapp.stores.interface import LARGEST_VALUE, Store
from webapp.stores.memory import MemoryStore

__all__ = ["LARGEST_VALUE", "Store", "open_store"]


def open_store(url: str, name: str) -> Store:
    """Open the store at the URL; `name` keeps two stores in one Redis apart.

    Asks nothing of Redis yet: the application starts without it. Raises
    RefusedToStart when a folder cannot be made or written.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryStore()
    if scheme == "file":
        folder = unquote(urlsplit(url).path)
        try:
            return FileStore(folder)
        except OSError as error:
            raise RefusedToStart(f"{folder}: {error.strerror}") from error
    # Here, because redis takes 5 MB that nobody needs without it.
    from webapp.stores.redis import RedisStore  # noqa: PLC0415

    return RedisStore.from_url(url, f"holdfast:{name}:")
