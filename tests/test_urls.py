"""URLs with several hosts, which Python takes apart only in part."""

from urllib.parse import urlsplit

import pytest

from config.urls import split_url

SEVERAL = "redis+sentinel://me:secret@10.0.0.1:1,[::1]:2,[::2]/main/0?db=1#end"


def test_hosts_of_either_kind_may_stand_in_any_order() -> None:
    parts = split_url(SEVERAL)
    assert parts.scheme == "redis+sentinel"
    assert parts.netloc == "me:secret@10.0.0.1:1,[::1]:2,[::2]"
    assert parts.path == "/main/0"
    assert parts.query == "db=1"
    assert parts.geturl() == SEVERAL


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:secret@[::1]:6379/2?timeout=1",
        "https://example.com",
        "file:///var/lib/a%20b",
        "memory:",
        "unix:/a?of=redis://[::1],b",
        "redis:///0",
        "",
    ],
)
def test_everything_else_is_as_python_says(url: str) -> None:
    assert split_url(url) == urlsplit(url)


def test_a_host_is_not_looked_at_yet() -> None:
    assert split_url("redis://[::1").netloc == "[::1"
