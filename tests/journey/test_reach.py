"""Pages on a narrow screen, by the keyboard alone, and with colours that are forced."""

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import PersonAt
from tests.journey.person import Person
from tests.journey.world import World

# Whatever has the focus is to be seen, all of it, and is marked.
FOCUSED = """() => {
  const it = document.activeElement;
  if (it === document.body) return null;
  const { left, right, top, bottom } = it.getBoundingClientRect();
  const words = (it.innerText || it.getAttribute("aria-label") || it.name || "").trim();
  const isWithin = left >= 0 && right <= innerWidth && bottom > 0 && top < innerHeight;
  const { outlineStyle, outlineWidth } = getComputedStyle(it);
  // Of a date the browser marks the part that has the focus, at last its calendar.
  const isMarked = outlineStyle !== "none" || /^date/.test(it.type);
  return [words, isWithin && isMarked && outlineWidth === "3px"];
}"""


# What is to be seen in the middle of what has the focus.
MIDDLE = """() => {
  const { left, right, top, bottom } = document.activeElement.getBoundingClientRect();
  return document.elementFromPoint((left + right) / 2, (top + bottom) / 2)?.innerText;
}"""


@pytest.fixture
def anna(world: World, person_at: PersonAt) -> Person:
    anna = person_at(world.server.url, "anna")
    anna.context.add_cookies(world.cookies["anna"])
    return anna


@pytest.mark.parametrize(
    "path",
    ["/entries", "/entries/printer", "/entries/printer/edit", "/sessions", "/account",
     "/account/tokens", "/entries/shopping list/history", "/entries/import"],
)  # fmt: skip
@pytest.mark.parametrize("width", [1280, 320])
def test_the_focus_goes_through_the_page_and_is_always_seen(
    anna: Person, path: str, width: int
) -> None:
    anna.page.set_viewport_size({"width": width, "height": 700})
    anna.open(path).page.evaluate("document.activeElement.blur()")
    went = []
    for _ in range(80):
        anna.page.keyboard.press("Tab")
        focused = anna.page.evaluate(FOCUSED)
        if focused is None:
            break
        went.append(focused)
    assert [words for words, is_seen in went if not is_seen] == []
    names = [words for words, _ in went]
    assert names[:3] == ["Skip to the content", "Holdfast", "anna"]
    assert names[-1] == "Keyboard shortcuts", "and no page keeps it"


def test_a_label_that_has_the_focus_is_not_cut_off(
    world: World, person_at: PersonAt
) -> None:
    labels = ["kitchen garden", "holidays 2027", "insurance papers", "car"]
    lena = person_at(world.server.url, "lena")
    lena.open("/signup").fill(User_name="lena", Password=lena.password)
    lena.press("Make the account").arrives("Your entries").open("/entries/new")
    lena.fill(Key="plans", Value="for a year", Labels=", ".join(labels))
    lena.press("Save").arrives("plans", "Saved.")
    lena.page.set_viewport_size({"width": 320, "height": 700})
    lena.open("/entries").page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(40):
        lena.page.keyboard.press("Tab")
        seen.append(lena.page.evaluate(MIDDLE))
    assert list(dict.fromkeys(each for each in seen if each in labels)) == labels


def test_the_skip_link_skips_what_is_above_the_content(anna: Person) -> None:
    anna.open("/entries").arrives("Your entries")
    anna.page.keyboard.press("Tab")
    anna.page.keyboard.press("Enter")
    anna.page.keyboard.press("Tab")
    expect(anna.page.get_by_role("link", name="New entry")).to_be_focused()


def test_shortcuts_search_go_and_give_the_focus_back(anna: Person) -> None:
    anna.open("/entries").arrives("Your entries")
    press = anna.page.keyboard.press
    press("/")
    expect(anna.page.get_by_label("Search keys and values")).to_be_focused()
    press("Escape")
    anna.page.evaluate("document.activeElement.blur()")
    press("j")
    first = anna.page.locator(".entries tbody a").first
    expect(first).to_be_focused()
    press("?")
    expect(anna.page.get_by_role("dialog")).to_be_visible()
    press("Escape")
    expect(anna.page.get_by_role("dialog")).to_have_count(0)
    expect(first).to_be_focused()
    press("g")
    press("s")
    anna.arrives("Where you are logged in")
    press("/")
    anna.arrives("Your entries")
    expect(anna.page.get_by_label("Search keys and values")).to_be_focused()


def test_a_search_without_the_network_stays_on_the_page(anna: Person) -> None:
    anna.open("/entries").arrives("Your entries")
    anna.context.set_offline(True)
    anna.fill(Search_keys_and_values="bread").press("Search")
    anna.arrives("Your entries", "Only what was on the page is searched.")
    expect(anna.page.locator(".entries tbody tr:visible")).not_to_have_count(0)


def test_what_was_chosen_to_compare_stays_chosen_when_there_is_news(
    anna: Person,
) -> None:
    anna.keep("a history", "one").press("Edit").arrives("Edit a history")
    anna.fill(Value="two").press("Save").arrives("a history", "Saved.", "two")
    anna.press("Edit").arrives("Edit a history")
    anna.fill(Value="three").press("Save").arrives("a history", "Saved.", "three")
    tab = anna.tab().open(anna.path).press("Edit").arrives("Edit a history")
    anna.press("History").arrives("History of a history")
    old = anna.page.locator("input[name=old]")
    old.last.check()
    number = str(old.last.get_attribute("value"))
    tab.fill(Value="four").press("Save").arrives("a history", "Saved.", "four")
    tab.page.close()
    expect(old).to_have_count(3)
    expect(anna.page.locator("input[name=old]:checked")).to_have_value(number)


def test_a_name_of_a_person_has_room_on_the_narrowest_screen(anna: Person) -> None:
    anna.page.set_viewport_size({"width": 320, "height": 700})
    anna.open("/entries").arrives("Your entries")
    who = anna.page.locator(".who")
    assert who.evaluate("it => it.scrollWidth <= it.clientWidth")
    expect(anna.page.get_by_role("link", name="Holdfast")).to_be_visible()


def test_what_is_said_has_an_edge_where_colours_are_forced(anna: Person) -> None:
    anna.page.emulate_media(forced_colors="active")
    anna.open("/entries/new").arrives("New entry")
    anna.context.set_offline(True)
    said = anna.page.locator(".said")
    expect(said).to_have_text("You are offline. What you type stays here.")
    background, edge = said.evaluate(
        "it => [getComputedStyle(it).backgroundColor, getComputedStyle(it).borderColor]"
    )
    assert background != edge
