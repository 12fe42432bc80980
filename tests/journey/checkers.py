"""The tools that judge a page: axe-core in the browser, the Nu HTML checker beside."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.journey.person import Person
from tests.servers import Process, required

# What package-lock.json names; bin/setup installs it.
MODULES = Path(__file__).parent / "node_modules"
AXE = MODULES / "axe-core" / "axe.min.js"
LIGHTHOUSE = MODULES / "lighthouse" / "cli" / "index.js"
OBSERVATORY = MODULES.parent / "observatory.mjs"
VNU = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
# What makes it start in half the time; the checker's schema needs a large stack then.
JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xss4m")
# Of WCAG 2.2, and left out by axe-core unless asked: the size of what is pressed.
AXE_OPTIONS = {
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}


def load_axe(person: Person) -> None:
    """Bring it into the page; the policy that keeps scripts out binds only the page."""
    person.page.evaluate(AXE.read_text("utf-8"))


def violations(person: Person) -> list[str]:
    """Ask axe-core about the page as it is on the screen now."""
    ask = "async options => (await axe.run(options)).violations"
    found: Any = person.page.evaluate(ask, AXE_OPTIONS)
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


class NuChecker(Process):
    """The Nu HTML checker as a server: Java takes longer to start than to check."""

    starts_within = 60

    def command(self) -> list[str]:
        java = required(shutil.which("java"), "Debian's package default-jre-headless")
        here = "-Dnu.validator.servlet.bind-address=127.0.0.1"
        main = "nu.validator.servlet.Main"
        return [java, *JAVA_OPTIONS, "-cp", str(VNU), here, main, str(self.port)]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    def answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(self.url).status_code == httpx.codes.OK
        return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def messages(self, source: str, kind: str = "text/html") -> list[str]:
        """Return what it says of the document: mistakes and warnings."""
        answer = httpx.post(
            self.url,
            params={"out": "json"},
            content=source.encode(),
            headers={"Content-Type": f"{kind}; charset=utf-8"},
            timeout=30,
        )
        return [
            f"{each['message']} {each.get('extract', '')}"
            for each in answer.raise_for_status().json()["messages"]
        ]
