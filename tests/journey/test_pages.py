"""Each page is one that everybody can use: axe-core and the Nu HTML checker say so.

The screenshots are for people to look at.
"""

from collections.abc import Iterator

import pytest

from tests.journey.bad_days import BadDays
from tests.journey.checkers import NuChecker, load_axe, violations
from tests.journey.conftest import PersonAt
from tests.journey.pages import PAGES
from tests.journey.person import SIZES, Person
from tests.journey.states import BAD_DAYS, STATES
from tests.journey.world import World
from tests.servers import ROOT

SCREENS = ROOT / "var" / "screens"
# Two pictures of each page show how it looks as well as four.
PICTURED = {"phone": "dark", "desktop": "light"}
STYLE = ROOT / "webapp" / "static" / "style.css"


@pytest.fixture(scope="session")
def nu_checker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NuChecker]:
    checker = NuChecker(tmp_path_factory.mktemp("vnu"))
    try:
        yield checker.start()
    finally:
        checker.kill()


@pytest.mark.parametrize("page", PAGES | STATES)
def test_everybody_can_use_it_at_each_size_in_light_and_dark(
    world: World, nu_checker: NuChecker, person_at: PersonAt, page: str
) -> None:
    visit = (PAGES | STATES)[page]
    person = person_at(world.server.url, visit.who)
    person.context.add_cookies(world.cookies[visit.who])
    _judge(visit.by(person), page, nu_checker)


@pytest.mark.parametrize("page", BAD_DAYS)
def test_everybody_can_use_what_they_see_on_a_bad_day(
    bad_days: BadDays, nu_checker: NuChecker, person_at: PersonAt, page: str
) -> None:
    visit = BAD_DAYS[page]
    person = person_at(bad_days.server.url, visit.who)
    person.context.add_cookies(bad_days.cookies[visit.who])
    _judge(visit.by(person), page, nu_checker)


def _judge(person: Person, page: str, nu_checker: NuChecker) -> None:
    assert nu_checker.messages(person.source) == []
    # And what scripts have made of it.
    assert nu_checker.messages(person.page.content()) == []
    load_axe(person)
    for size in SIZES:
        person.resize(size)
        for scheme in ("light", "dark"):
            person.page.emulate_media(color_scheme=scheme)
            if PICTURED[size] == scheme:
                person.take_picture(SCREENS / size / f"{page}.png")
            assert violations(person) == [], f"on a {size}, {scheme}"
            assert person.overflow() <= 0, f"wider than a {size}"
    # A desktop at 400 % (WCAG 2.2, 1.4.10).
    person.page.set_viewport_size({"width": 320, "height": 256})
    assert person.overflow() <= 0, "wider than 320 px"


def test_the_nu_html_checker_has_nothing_to_say_of_the_style_sheet(
    nu_checker: NuChecker,
) -> None:
    assert nu_checker.messages("p { colour: red }", "text/css") != []
    assert nu_checker.messages(STYLE.read_text("utf-8"), "text/css") == []
