"""The page in a real browser: the map, and why something matches."""

from test_web_search import ask, drawn, expect, open_first

# The first point's pixel while the whole map is shown; points.bin holds columns, x then y.
FIRST_POINT = """async () => {
  const [about, bytes] = await Promise.all([fetch("v1/map").then((r) => r.json()), fetch("v1/map/points.bin").then((r) => r.arrayBuffer())]);
  const [x, y] = [new Float32Array(bytes, 0, about.count)[0], new Float32Array(bytes, 4 * about.count, about.count)[0]];
  const [x0, y0, x1, y1] = about.bounds;
  const box = document.querySelector(".above").getBoundingClientRect();
  const scale = 0.94 * Math.min(box.width / (x1 - x0), box.height / (y1 - y0));
  return [box.x + box.width / 2 + (x - (x0 + x1) / 2) * scale, box.y + box.height / 2 - (y - (y0 + y1) / 2) * scale];
}"""  # noqa: E501


def test_map_shows_clusters_and_opens_a_point(visit):
    page = visit()
    ask(page, "oxide")
    page.click("nav [data-tab=map]")
    page.wait_for_selector("#map[data-ready]")
    page.locator(".above").press("0")
    page.wait_for_timeout(200)
    assert drawn(page.locator(".map-stage")) > 2e-3
    assert page.locator(".cluster-list li").count() == 4
    assert "results of the query" in page.inner_text(".map-hits")
    place = page.evaluate(FIRST_POINT)
    page.mouse.move(*place)
    expect(page.locator(".tip b")).to_be_visible()
    page.mouse.click(*place)
    page.wait_for_selector("#detail .columns dl")


def test_map_takes_heat_and_overlays(visit):
    page = visit()
    page.keyboard.press("m")
    page.wait_for_selector("#map[data-ready]")
    page.fill(".heat input", "fluoride")
    page.press(".heat input", "Enter")
    page.wait_for_selector(".ramp")
    page.select_option(".map-side select", index=1)
    expect(page.locator(".ramp-ends")).not_to_contain_text("nearest to the words")
    page.select_option(".map-side select", "cluster")
    page.wait_for_selector(".cluster-list")


def test_query_finds_its_place(visit):
    page = visit()
    ask(page, "sodium chloride")
    page.click("nav [data-tab=map]")
    page.wait_for_selector("#map[data-ready]")
    with page.expect_response("**/v1/map/place") as answer:
        page.click("text=Where is my query?")
    assert answer.value.ok


def test_explanation_is_drawn_with_its_check(visit):
    page = visit()
    ask(page, "sodium chloride")
    open_first(page)
    page.wait_for_selector(".stage[data-ready]")
    page.click("#explain")
    page.wait_for_selector(".why-part")
    assert page.locator(".why mark").count() >= 2
    assert page.locator(".verdict").count() >= 1
    assert "random order" in page.locator(".verdict").first.inner_text()
    assert "speaks for the match" in page.inner_text(".legend.elements")


def test_map_and_detail_come_back_from_a_link(visit):
    page = visit()
    ask(page, "oxide")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("m")
    page.wait_for_selector("#map[data-ready]")
    page.wait_for_timeout(150)
    other = visit(page.evaluate("location.hash"))
    other.wait_for_selector("#map[data-ready]")
    assert other.locator("#results").is_hidden()
