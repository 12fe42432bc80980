"""The URLs of what the application talks to."""

import re
from urllib.parse import SplitResult, urlsplit

HOSTS = re.compile("([^:/?#]*://)([^/?#]*)")


def split_url(url: str) -> SplitResult:
    """Take a URL apart as `urlsplit` does, which knows one host; a store has several.

    Since Python 3.11.12 that refuses `HOST,[::1]` (CVE-2025-0938). What each host is
    has to be asked of it alone.
    """
    found = HOSTS.match(url)
    if not found:
        return urlsplit(url)
    return urlsplit(found[1] + url[found.end() :])._replace(netloc=found[2])
