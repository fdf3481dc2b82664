"""What a person does: votes by click and by key, moves by keys, watches live, goes away and comes back."""

import asyncio

import pytest

from browser.support import web_cases
from browser.support.waiting import until, until_idle
from toban.model.approval import Decision
from toban.model.change import ChangeState
from toban.model.timeline import Lane


def _change(site):
    return site.toban.cases["INC-0001"].changes[0]


async def _focused(page):
    return await page.evaluate("document.activeElement.closest('[data-item]')?.id || document.activeElement.name || ''")


async def test_a_change_is_approved_by_click(open_page, site):
    page = await open_page("/incidents/INC-0001")
    await page.get_by_label("Reason").fill("seen before")
    await page.get_by_role("button", name="Approve").click()
    await page.locator("text=is approved and about to start").wait_for()
    file = _change(site)
    assert file.change.state is ChangeState.APPROVED
    assert (file.approvals[-1].voter, file.approvals[-1].reason) == ("you", "seen before")


async def test_a_change_is_approved_by_key_and_only_at_the_second_press(open_page, site):
    page = await open_page("/incidents/INC-0001")
    await page.keyboard.press("a")
    assert await page.evaluate("document.activeElement.value") == "approve"
    assert _change(site).change.state is ChangeState.AWAITING_APPROVAL
    await page.keyboard.press("a")
    await page.locator("text=is approved and about to start").wait_for()
    assert _change(site).approvals[-1].decision is Decision.APPROVE


async def test_a_change_is_rejected_by_key_and_enter(open_page, site):
    page = await open_page("/approvals")
    await page.keyboard.press("r")
    await page.keyboard.press("Enter")
    await page.locator("text=was rejected").first.wait_for()
    assert _change(site).change.state is ChangeState.REJECTED


async def test_keys_rest_while_one_types_or_an_input_method_composes(open_page, site):
    page = await open_page("/incidents/INC-0001")
    await page.get_by_label("Reason").fill("")
    await page.get_by_label("Reason").press("a")
    assert await page.get_by_label("Reason").input_value() == "a"
    await page.keyboard.press("Escape")
    await page.evaluate("""() => document.body.dispatchEvent(
        new KeyboardEvent("keydown", {key: "a", bubbles: true, isComposing: true}))""")
    await page.evaluate("""() => document.body.dispatchEvent(
        new KeyboardEvent("keydown", {key: "a", bubbles: true, ctrlKey: true}))""")
    assert await page.evaluate("document.activeElement.value") != "approve"
    assert _change(site).change.state is ChangeState.AWAITING_APPROVAL


async def test_a_key_on_a_barred_vote_leads_to_the_reason(open_page, site):
    async def barred(*_args):
        return "you have voted already"

    site.toban.may_vote = barred
    page = await open_page("/incidents/INC-0001")
    assert await page.get_by_role("button", name="Approve").is_disabled()
    await page.keyboard.press("a")
    assert "you have voted already" in await page.evaluate("document.activeElement.textContent")


async def test_j_and_k_move_and_enter_opens(open_page, site):
    page = await open_page("/incidents")
    await page.keyboard.press("j")
    first = await page.evaluate("document.activeElement.getAttribute('href')")
    await page.keyboard.press("j")
    second = await page.evaluate("document.activeElement.getAttribute('href')")
    assert first != second
    await page.keyboard.press("k")
    assert await page.evaluate("document.activeElement.getAttribute('href')") == first
    await page.keyboard.press("Enter")
    await page.wait_for_url(site.url + first)


async def test_evidence_is_unfolded_by_keys(open_page):
    page = await open_page("/incidents/INC-0001")
    for _ in range(30):
        await page.keyboard.press("j")
        if (await _focused(page)).startswith("d-F-"):
            break
    item = await _focused(page)
    assert item.startswith("d-F-")
    await page.keyboard.press("Enter")
    assert await page.locator(f"#{item}").get_attribute("open") is not None


async def test_slash_filters_and_an_id_leads_to_its_page(open_page, site):
    page = await open_page("/")
    await page.keyboard.press("/")
    await page.keyboard.type("inc-0004")
    await page.keyboard.press("Enter")
    await page.wait_for_url(site.url + "/incidents/INC-0004")


@pytest.mark.parametrize(("keys", "path"), [("gi", "/incidents"), ("ga", "/approvals"), ("gn", "/")])
async def test_g_jumps(open_page, site, keys, path):
    page = await open_page("/incidents/INC-0002")
    for key in keys:
        await page.keyboard.press(key)
    await page.wait_for_url(site.url + path)


async def test_help_opens_and_closes_by_key(open_page):
    page = await open_page("/")
    await page.keyboard.press("?")
    await page.locator("dialog#help[open]").wait_for()
    await page.keyboard.press("Escape")
    await page.locator("dialog#help").wait_for(state="hidden")


async def test_a_link_to_evidence_unfolds_it(open_page):
    page = await open_page("/incidents/INC-0001")
    await page.locator(".arguments a").first.click()
    target = (await page.evaluate("location.hash")).lstrip("#")
    await page.locator(f"#{target}").wait_for(state="visible")


async def test_the_theme_is_switched_and_stays(open_page):
    page = await open_page("/", scheme="light")
    await page.locator("[data-theme-toggle]").click()
    assert await page.locator("html").get_attribute("data-theme") == "dark"
    await page.reload()
    assert await page.locator("html").get_attribute("data-theme") == "dark"


async def test_times_are_told_in_the_viewers_zone_from_the_first_visit(open_page):
    page = await open_page("/incidents/INC-0001", zone="Asia/Tokyo")
    first = page.locator(".head time").first
    await until(page, "document.querySelector('.head time').textContent.includes('12:01:40')")
    assert await first.get_attribute("title") == "2026-11-21 03:01:40 UTC"
    assert "Asia/Tokyo" in await page.locator("#zone-note").inner_text()


async def test_what_happens_appears_without_reloading_and_keeps_what_one_is_doing(open_page, site):
    page = await open_page("/incidents/INC-0001")
    await page.get_by_label("Reason").fill("half a sen")
    await page.locator("details#others > summary").click()
    await page.get_by_label("Reason").focus()
    await site.toban.tell("INC-0001", Lane.ANALYSIS, "note", "a sign of life")
    await page.locator(".story >> text=a sign of life").wait_for()
    assert await page.get_by_label("Reason").input_value() == "half a sen"
    assert await page.locator("details#others").get_attribute("open") is not None
    assert await page.evaluate("document.activeElement.id") == "reason-CHG-0001"
    assert "a sign of life" in await page.locator("#latest").text_content()


async def test_a_vote_of_somebody_else_reaches_the_lists_and_the_badge(open_page, site):
    page = await open_page("/")
    assert "1" in await page.locator("#nav-badge").inner_text()
    change = _change(site).change
    context = await site.toban.context_for(bearer="tbn_good", session=None, request_id="r")
    await site.toban.vote(context, change.id, decision=Decision.APPROVE, digest=change.digest, reason="")
    await page.locator("text=CHG-0001").wait_for(state="detached")
    await page.locator("#nav-badge").wait_for(state="hidden")


async def test_a_broken_stream_is_resumed_without_a_gap_or_a_double(open_page, site):
    page = await open_page("/incidents/INC-0001")
    await page.evaluate("""() => {
        window.heard = [];
        document.getElementById("stream").addEventListener("timeline", (event) => window.heard.push(Number(event.detail.id)));
    }""")
    told = [(await site.toban.tell("INC-0001", Lane.ANALYSIS, "note", f"before {n}")).seq for n in range(3)]
    await until(page, "window.heard.length === 3")
    for connection in list(site.server.server_state.connections):
        connection.transport.abort()
    told += [(await site.toban.tell("INC-0001", Lane.ANALYSIS, "note", f"after {n}")).seq for n in range(3)]
    await until(page, "window.heard.length >= 6")
    assert await page.evaluate("window.heard") == told
    open_page.visitor.problems.clear()  # the browser reports the cut that this test made


async def test_the_stream_pauses_in_a_hidden_tab_and_catches_up(open_page, site):
    page = await open_page("/incidents/INC-0001")
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await page.evaluate(hide, arg=True)
    await until_idle(site.server)
    await site.toban.tell("INC-0001", Lane.ANALYSIS, "note", "while you were away")
    await page.evaluate(hide, arg=False)
    await page.locator(".story >> text=while you were away").wait_for()


async def test_an_open_page_does_not_keep_the_server_from_stopping(open_page, site):
    await open_page("/incidents/INC-0001")
    started = asyncio.get_running_loop().time()
    site.server.stop()
    await until_idle(site.server)
    assert asyncio.get_running_loop().time() - started < 1.5
    open_page.visitor.problems.clear()  # the page reports that its server has gone


async def test_hostile_text_does_nothing_but_stand_there(open_page, site):
    case = web_cases.hostile()
    site.toban.cases[case.incident.id] = case
    page = await open_page("/")
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for path in ("/", "/approvals", "/incidents/INC-0066", "/incidents/INC-0066?lang=ja"):
        await page.goto(site.url + path)
        await page.locator('#live-state[data-state="on"]').wait_for()
        assert await page.locator("main script, main img").count() == 0
        await site.toban.tell(case.incident.id, Lane.PEOPLE, "note", web_cases.HOSTILE)
        wide, room = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= room
    await page.locator(".story >> text=<U+202E>evil").first.wait_for()
    assert dialogs == []


async def test_an_unknown_outcome_is_settled_by_a_person_who_looked(open_page, site):
    page = await open_page("/incidents/INC-0004")
    await page.get_by_role("button", name="It took effect").click()
    await page.get_by_role("alert").wait_for()
    assert "say what you saw" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("What you saw").fill("the new image runs")
    await page.get_by_role("button", name="It took effect").click()
    await page.locator("text=is carried out; verification starts").wait_for()
    assert site.toban.cases["INC-0004"].changes[0].change.state is ChangeState.EXECUTED
    open_page.visitor.problems.clear()  # the refused attempt was answered 422
