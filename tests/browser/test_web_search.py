"""The page in a real browser: asking by words, files and conditions, and what the answers show."""

import json
import re
from io import BytesIO

import pytest
from matplotlib.image import imread

from prismat.search.comparisons import DEFAULT_BLEND

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  for (const type of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def drawn(locator):
    """Share of an element's pixels that differ from its upper left corner, as a person sees them."""
    pixels = imread(BytesIO(locator.screenshot()))[..., :3]
    return float((abs(pixels - pixels[3, 3]).max(-1) > 0.1).mean())


def ask(page, words):
    """Types words, and waits until their answer is shown."""
    page.fill("#words", words)
    with page.expect_response("**/v1/search"):
        page.press("#words", "Enter")
    page.wait_for_selector("#results[aria-busy=false] .card-actions")


def first(page):
    """Formula on the first card."""
    return page.locator(".card .formula").first.inner_text()


def open_first(page):
    """Opens the first result and waits for its facts."""
    page.click(".card h3 a")
    page.wait_for_selector("#detail .columns dl")


def is_narrow(page):
    """Whether the page needs no sideways scrolling."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def page(visit):
    """The first page."""
    return visit()


def test_words_are_understood_as_chips_and_answered(page):
    ask(page, "sodium chloride not iodide +Cl -Cs elements:..2")
    chips = [" ".join(c.split()) for c in page.locator(".chip-label").all_inner_texts()]
    assert chips == ["sodium chloride", "not iodide", "with Cl", "without Cs", "elements ≤ 2"]
    assert page.input_value("#words") == "sodium chloride"
    weight = page.input_value(".chip[data-kind=not_text] input")
    assert float(weight) == DEFAULT_BLEND.negative["not_text"]
    formulas = page.locator(".card .formula").all_inner_texts()
    assert formulas
    assert all("Cl" in f and "Cs" not in f for f in formulas)
    assert re.fullmatch(r"\d+ results of \d+; first .+", page.inner_text("#live"))
    assert page.locator(".card .part").first.inner_text().startswith("text")


def test_chip_can_be_removed(page):
    ask(page, "oxide +Ti")
    assert "pass the filters" in page.inner_text(".results-head")
    with page.expect_response("**/v1/search"):
        page.click("[aria-label='Remove with Ti']")
    expect(page.locator(".results-head")).not_to_contain_text("pass the filters")
    assert page.locator(".chip").count() == 1


def test_pattern_and_structure_are_dropped_and_weighed(page, cif_text, xy_text):
    page.evaluate(DROP, ["halite.xy", xy_text])
    page.wait_for_selector(".chip[data-kind=xrd] .spark path")
    page.wait_for_selector(".card-actions")
    assert "halite.xy" in page.inner_text(".chip[data-kind=xrd]")
    page.evaluate(DROP, ["spinel.cif", cif_text])
    page.wait_for_selector(".chip[data-kind=structure] .weight")
    assert "MgAl2O4" in page.inner_text(".chip[data-kind=structure]").replace("\n", "")
    with page.expect_request("**/v1/search") as sent:
        page.locator(".chip[data-kind=structure] input").press("End")
    assert sent.value.post_data_json["weights"] == {"structure": 3}
    page.wait_for_selector("#results[aria-busy=false] .card .part:nth-of-type(3)")


def test_measured_pattern_lies_over_the_simulated_one(page, xy_text):
    page.evaluate(DROP, ["halite.xy", xy_text])
    page.wait_for_selector(".card-actions")
    page.click(".card h3 a")
    page.wait_for_selector(".plot path.measured")
    assert page.locator(".plot path.simulated").count() == 1
    page.locator(".plot").scroll_into_view_if_needed()
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    assert re.search(r"2θ [\d.]+°\s*d [\d.]+ Å", " ".join(page.inner_text(".readout").split()))
    whole = page.locator(".plot .axis text").all_text_contents()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 60, box["y"] + 40, steps=4)
    page.mouse.up()
    assert page.locator(".plot .axis text").all_text_contents() != whole
    page.locator(".plot").press("0")
    assert page.locator(".plot .axis text").all_text_contents() == whole


def test_file_that_is_none_says_what_to_do(page, visit):
    page.evaluate(DROP, ["notes.cif", "this is no crystal"])
    page.wait_for_selector(".failure[role=alert] .remedy")
    assert page.inner_text(".failure h2")
    # The browser itself reports the refused request.
    assert len(visit.faults) == 1
    assert "status of 4" in visit.faults.pop()


def test_filters_by_the_periodic_table_and_ranges(page):
    ask(page, "oxide")
    page.click("#filter-button")
    page.click(".element[data-symbol=Ti]")
    page.click(".segments input[value=without_elements]")
    with page.expect_request("**/v1/search") as sent:
        page.click(".element[data-symbol=Sr]")
        page.click(".tag:has-text('tetragonal')")
    page.wait_for_selector("#results[aria-busy=false]")
    asked = sent.value.post_data_json["filter"]
    assert asked["with_elements"] == ["Ti"]
    assert page.get_attribute(".element[data-symbol=Sr]", "aria-label") == "strontium, without"
    expect(page.locator(".card")).to_have_count(2)
    assert set(page.locator(".card .formula").all_inner_texts()) == {"TiO2"}


def test_viewer_draws_the_cell(page):
    ask(page, "sodium chloride")
    open_first(page)
    page.wait_for_selector(".stage[data-ready] canvas")
    assert drawn(page.locator(".stage")) > 0.02
    elements = set(re.findall("[A-Z][a-z]?", first(page)))
    assert set(page.locator(".legend.elements li").all_inner_texts()) == elements
    page.click("text=2 × 2 × 2")
    assert page.get_attribute("text=2 × 2 × 2", "aria-pressed") == "true"


def test_density_of_states_is_drawn_where_there_is_one(visit):
    page = visit()

    def with_states(route):
        answer = route.fetch()
        found = answer.json()
        found["has"]["dos"] = True
        route.fulfill(response=answer, body=json.dumps(found))

    energies = [x / 10 - 5 for x in range(101)]
    states = {
        "energies": energies,
        "densities": [None if x < -4.8 else max(0, 4 - abs(x)) for x in energies],
        "zero": "fermi",
        "kind": "dos",
        "unit": "eV",
    }
    page.route(re.compile(r"/v1/materials/[^/]+$"), with_states)
    page.route("**/v1/materials/*/dos", lambda route: route.fulfill(json=states))
    ask(page, "oxide")
    open_first(page)
    page.wait_for_selector(".dos .plot path.measured")
    assert "energy / eV, 0 at the Fermi level" in page.locator(".dos .axis").text_content()


def test_link_brings_everything_back(page, visit, xy_text):
    page.evaluate(DROP, ["halite.xy", xy_text])
    page.wait_for_selector(".card-actions")
    ask(page, "chloride -K")
    open_first(page)
    shown = page.inner_text("#detail .eyebrow")
    expect(page).to_have_url(re.compile("#v1[.].{20}"))
    fragment = page.evaluate("location.hash")
    other = visit(fragment)
    other.wait_for_selector("#detail .columns dl")
    other.wait_for_selector("#results[aria-busy=false] .card-actions")
    assert other.inner_text("#detail .eyebrow") == shown
    assert other.locator(".chip").all_inner_texts() == page.locator(".chip").all_inner_texts()
    assert other.locator(".card .total").all_inner_texts() == page.locator(".card .total").all_inner_texts()


def test_back_and_forward(page):
    ask(page, "chloride")
    ask(page, "titanium oxide")
    page.go_back()
    expect(page.locator("#words")).to_have_value("chloride")
    page.go_forward()
    expect(page.locator("#words")).to_have_value("titanium oxide")


def test_markup_in_titles_is_text(visit):
    page = visit()
    evil = '<img src=x onerror="window.owned=1"><b>bold</b><script>window.owned=1</script>'

    def poisoned(route):
        answer = route.fetch()
        found = answer.json()
        for hit in found["hits"]:
            hit.update(title=evil, formula="<i>NaCl</i>", spacegroup="<u>Fm-3m</u>")
        route.fulfill(response=answer, body=json.dumps(found))

    page.route("**/v1/search", poisoned)
    ask(page, '"<b>x</b>" chloride')
    assert page.locator(".card .title").first.inner_text() == evil
    assert page.locator(".card img, .card b b, .card script, .chip b b").count() == 0
    assert page.evaluate("window.owned") is None


def test_keyboard_alone(page):
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.type("iodide")
    with page.expect_response("**/v1/search"):
        page.keyboard.press("Enter")
    page.wait_for_selector(".card-actions")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(".card").nth(1)
    assert second.locator("h3 a").evaluate("e => e === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail .columns dl")
    assert second.get_attribute("aria-current") == "true"
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    page.keyboard.press("?")
    assert page.locator("#help").evaluate("e => e.open")


def test_more_like_this(page):
    ask(page, "zinc sulfide")
    with page.expect_request("**/v1/search") as sent:
        page.locator(".card-actions button").first.click()
    assert len(sent.value.post_data_json["steer"]["like"]) == 1
    page.wait_for_selector(".chip[data-kind=like]")


def test_results_are_downloaded(page):
    ask(page, "oxide")
    with page.expect_download() as got:
        page.click("text=CSV")
    lines = got.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("rank,id,formula,spacegroup")
    assert len(lines) == 1 + page.locator(".card").count()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(visit, theme):
    page = visit(color_scheme=theme)
    ground = "getComputedStyle(document.body).backgroundColor"
    lightness = sum(map(int, re.findall(r"\d+", page.evaluate(ground))))
    assert (lightness < 150) == (theme == "dark")
    page.click("#theme")
    assert page.evaluate(ground) != lightness
    kept = page.evaluate("document.documentElement.dataset.theme")
    page.reload()
    page.wait_for_selector("#served b")
    assert page.evaluate("document.documentElement.dataset.theme") == kept != theme


@pytest.mark.parametrize("width", [360, 390])
def test_phone_never_scrolls_sideways(visit, width):
    page = visit(viewport={"width": width, "height": 800}, has_touch=True, is_mobile=True)
    assert is_narrow(page)
    ask(page, "oxide not sulfide +Ti gap:..9")
    assert is_narrow(page)
    page.click("#filter-button")
    assert is_narrow(page)
    page.click("#filter-button")
    open_first(page)
    assert is_narrow(page)
    assert page.locator("#detail").bounding_box()["width"] == width


def test_server_that_is_gone_is_named(visit):
    page = visit()
    page.route("**/v1/**", lambda route: route.abort())
    page.fill("#words", "oxide")
    page.press("#words", "Enter")
    assert "does not answer" in page.inner_text(".failure h2")
    visit.faults.clear()
