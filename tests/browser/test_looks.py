"""How every page stands in a browser: accessible, whole, nothing cut off, in both languages, schemes and widths."""

import pytest
from axe_playwright_python.async_playwright import Axe

from browser.support import web_cases

_PAGES = ["/", "/incidents", "/approvals", *[f"/incidents/{id_}" for id_ in sorted(web_cases.all_cases())]]
_RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
_CUT = """() => {
  const cut = [];
  for (const svg of document.querySelectorAll("svg.picture")) {
    if (!svg.getClientRects().length) continue;
    const frame = svg.viewBox.baseVal;
    for (const shape of svg.querySelectorAll("text,rect,circle,polygon,polyline,line")) {
      const box = shape.getBBox();
      const outside = box.x < frame.x - 0.5 || box.y < frame.y - 0.5
        || box.x + box.width > frame.x + frame.width + 0.5 || box.y + box.height > frame.y + frame.height + 0.5;
      if (outside) cut.push(`${svg.querySelector("title").textContent}: ${shape.outerHTML.slice(0, 120)}`);
    }
  }
  return cut;
}"""
_SPILLED = """() => [...document.querySelectorAll(".g-node")].flatMap((node) => {
  if (!node.getClientRects().length) return [];
  const box = node.getBBox();
  return [...node.parentNode.querySelectorAll("text")].filter((text) => {
    const words = text.getBBox();
    return words.x < box.x || words.x + words.width > box.x + box.width;
  }).map((text) => text.textContent);
})"""
_WIDTHS = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


async def _examine(page):
    results = await Axe().run(page, options=_RULES)
    found = [
        f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes']][:3]}"
        for one in results.response["violations"]
    ]
    assert found == []
    wide, room = await page.evaluate(_WIDTHS)
    assert wide <= room, f"the page is {wide - room} px too wide"
    assert await page.evaluate(_CUT) == []
    assert await page.evaluate(_SPILLED) == []


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.slow
async def test_every_page_is_accessible_and_fits(open_page, lang, width, scheme):
    page = await open_page(_PAGES[0], width=width, scheme=scheme, lang=lang)
    for path in _PAGES:
        await page.goto(open_page.visitor.site.url + path)
        await page.locator("main h1").first.wait_for(state="attached")
        await page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        await _examine(page)


@pytest.mark.parametrize("width", [390, 768, 1024, 1920])
async def test_the_incident_page_fits_other_widths(open_page, width):
    page = await open_page("/incidents/INC-0001", width=width)
    wide, room = await page.evaluate(_WIDTHS)
    assert wide <= room


async def test_the_help_and_the_error_page_are_accessible(open_page, site):
    page = await open_page("/incidents/INC-0001")
    await page.keyboard.press("?")
    await page.locator("dialog#help[open]").wait_for()
    await _examine(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_sign_in_and_errors_are_accessible(browser, site, scheme):
    site.toban.users["sato"] = "correct horse"
    context = await browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(5000)
    await page.goto(site.url + "/incidents/INC-0001")
    assert page.url.endswith("/login?next=%2Fincidents%2FINC-0001")
    await _examine(page)
    await page.get_by_label("Name").fill("sato")
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Sign in").click()
    await page.locator("#plan").wait_for()
    assert page.url.endswith("/incidents/INC-0001")
    await page.goto(site.url + "/incidents/INC-9999")
    await _examine(page)
    await context.close()


async def test_everything_reads_without_scripts(open_page):
    page = await open_page("/incidents/INC-0001", scripts=False)
    body = await page.locator("main").inner_text()
    for words in ("What broke", "Faulty rollout", "93 %", "+        image:", "1 of 2", "sato approved CHG-0001"):
        assert words in body
    await page.get_by_role("button", name="Approve").click()
    await page.locator("text=is approved and about to start").wait_for()
    await page.locator('a[href="#help"]').click()
    assert await page.locator("#help").is_visible()


async def test_print_shows_the_story_and_no_controls(open_page):
    page = await open_page("/incidents/INC-0002")
    await page.emulate_media(media="print")
    assert not await page.locator("header.top").is_visible()
    assert await page.locator("#lesson").is_visible()


async def test_the_focused_element_shows_it_and_the_first_stop_is_the_skip_link(open_page):
    page = await open_page("/incidents/INC-0001")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    for _ in range(12):
        await page.keyboard.press("Tab")
        style = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"


async def test_a_page_is_interactive_in_half_a_second(open_page):
    page = await open_page("/incidents/INC-0001")
    times = []
    for _ in range(3):
        await page.reload()
        await page.locator('#live-state[data-state="on"]').wait_for()
        times.append(await page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    print(f"interactive after {sorted(times)} ms")
    assert min(times) < 500
