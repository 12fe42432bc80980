"""Load by wrk, on the core that the server does not have."""

import os
import re
import subprocess
from dataclasses import dataclass

import click

from benchmarks.sites import CLIENT_CORE
from benchmarks.visits import HEADERS

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """Requests per second, milliseconds that 99 of 100 stayed under, how many."""

    rate: float
    p99: float
    requests: int


def load(url: str, seconds: int, connections: int, *options: str, **env: str) -> Load:
    """Ask as a browser, on connections that are kept alive; all must be below 400.

    With its headers: parsing them is work, and Flask-Login has more of it where the
    browser is another than at log-in.
    """
    headers = [f"--header={name}: {value}" for name, value in HEADERS.items()]
    said = subprocess.run(  # noqa: S603
        [
            *("taskset", "--cpu-list", str(CLIENT_CORE), "wrk", "--threads", "1"),
            *("--connections", str(connections), "--duration", f"{seconds}s"),
            *("--latency", "--timeout", "10s", *headers, *options, url),
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | env,  # noqa: TID251
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"\n\s+99%\s+([\d.]+)(us|ms|s)", said)
    count = re.search(r"(\d+) requests in", said)
    if "Non-2xx" in said or "Socket errors" in said or not (rate and p99 and count):
        raise click.ClickException(f"{url}: {said}")
    return Load(float(rate[1]), float(p99[1]) * UNITS[p99[2]], int(count[1]))
