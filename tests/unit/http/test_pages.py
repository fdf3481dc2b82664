"""The pages without a browser: what they say, in which language, and what they refuse."""

import re
from html.parser import HTMLParser

import pytest

from browser.support import web_cases
from toban.entrypoints.http.views import alerts, diff, evidence
from toban.model.alert import AlertState, Severity
from toban.model.change import ChangeState

_PATHS = ["/", "/incidents", "/approvals", *[f"/incidents/{id_}" for id_ in sorted(web_cases.all_cases())], "/nope"]
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class _Page(HTMLParser):
    """Ids, tags and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.tags, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value)


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("path", _PATHS)
async def test_a_page_is_whole_and_clean(client, path, lang):
    response = await client.get(f"{path}?lang={lang}")
    assert response.status_code == (404 if path == "/nope" else 200)
    page = _Page(response.text)
    assert f'<html lang="{lang}"' in response.text
    assert len(page.ids) == len(set(page.ids)), "an id is used twice"
    assert page.tags.count("main") == 1
    assert page.tags.count("h1") == 1
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "style", tag
        assert not value.strip().lower().startswith("javascript:"), (tag, name)
    assert "<style" not in response.text
    assert not re.search(r"<script(?! src=)", response.text)
    assert "{{" not in response.text
    assert not re.search(r">\s*None\s*<", response.text)


@pytest.mark.parametrize("path", _PATHS)
async def test_no_page_loads_anything_from_outside(client, path):
    page = _Page((await client.get(path)).text)
    loaded = {
        value for tag, name, value in page.attributes if name in {"src", "action"} or (tag, name) == ("link", "href")
    }
    assert loaded
    assert all(value.startswith("/") and not value.startswith("//") for value in loaded)
    named = {value for tag, name, value in page.attributes if name == "href" and value.startswith("http")}
    assert all(re.match(r"http://127\.0\.0\.1[:/]", link) for link in named), (
        "only links that findings and alerts bring"
    )


async def test_the_language_follows_address_then_cookie_then_browser(client):
    japanese = {"Accept-Language": "fr;q=0.9, ja;q=0.8, en;q=0.7"}
    assert '<html lang="ja"' in (await client.get("/", headers=japanese)).text
    assert '<html lang="en"' in (await client.get("/?lang=en", headers=japanese)).text
    assert client.cookies["toban_lang"] == "en"
    assert '<html lang="en"' in (await client.get("/", headers=japanese)).text
    assert '<html lang="en"' in (await client.get("/?lang=xx")).text


async def test_a_chosen_theme_is_remembered(client):
    assert 'data-theme="dark"' in (await client.get("/?theme=dark")).text
    assert 'data-theme="dark"' in (await client.get("/")).text
    client.cookies.clear()
    assert "data-theme" not in (await client.get("/?theme=%22%3E")).text.split("<body>")[0].replace(
        "data-theme-toggle", ""
    )


async def test_times_are_told_in_the_viewers_zone_with_utc_beside(client):
    page = (await client.get("/incidents/INC-0001", headers={"Cookie": "toban_zone=Asia%2FTokyo~540"})).text
    assert '<time datetime="2026-11-21T03:01:40Z" title="2026-11-21 03:01:40 UTC">2026-11-21 12:01:40</time>' in page
    assert "Times are in Asia/Tokyo" in page


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Nowhere/Land~9999", "<script>", "", "Asia/Tokyo%00"])
async def test_a_zone_that_is_none_means_utc(client, zone):
    response = await client.get("/incidents/INC-0001", headers={"Cookie": f"toban_zone={zone}"})
    assert "2026-11-21 03:01:40</time>" in response.text


async def test_a_zone_that_only_the_viewer_knows_is_told_by_its_offset(client):
    page = (await client.get("/incidents/INC-0001", headers={"Cookie": "toban_zone=Mars/Olympus~90"})).text
    assert "2026-11-21 04:31:40</time>" in page


async def test_what_waits_for_a_vote_shows_all_that_a_voter_needs(client):
    page = (await client.get("/incidents/INC-0001")).text
    for expected in (
        "Deployment shop/checkout", "high risk", "it touches 3 of 3 replicas", "1 of 2",
        'class="d-removed">-        image: registry.internal/shop/checkout:2.31.0', 'class="d-added">+',
        "Toban undoes it once", 'name="digest"', "sato", "Rolled back the same way last week", "(22 min",
    ):  # fmt: skip
        assert expected in page.replace('<span data-until="2026-11-21T03:34:40Z" class="">', ""), expected


async def test_someone_who_may_not_vote_sees_disabled_buttons_and_why(client, toban):
    async def barred(*_args):
        return "you asked for this change; somebody else must approve it"

    toban.may_vote = barred
    page = (await client.get("/incidents/INC-0001")).text
    assert len(re.findall(r"<button[^>]*name=\"decision\"[^>]* disabled", page)) == 2
    assert "You cannot vote: you asked for this change; somebody else must approve it." in page


async def test_an_unknown_outcome_says_loudly_what_to_do(client):
    page = (await client.get("/incidents/INC-0004")).text
    assert "Nobody knows yet whether CHG-0004 took effect" in page
    assert "callout-alarm" in page
    assert "Do not repeat the change by hand" in page
    assert "CHG-0004:roll_back:1" in page


async def test_an_inconclusive_diagnosis_names_what_could_not_be_read(client):
    page = (await client.get("/incidents/INC-0003")).text
    assert "No cause was found. A person must look." in page
    assert "the server at 127.0.0.1:8421 did not answer within 10 s" in page


async def test_the_live_part_is_the_page_without_its_frame(client):
    part = (await client.get("/incidents/INC-0001/live")).text
    assert "<html" not in part
    assert 'id="nav-badge" hx-swap-oob="outerHTML"' in part
    assert "What broke" in part
    for path in ("/?fragment=1", "/incidents?fragment=1", "/approvals?fragment=1"):
        assert "<html" not in (await client.get(path)).text


async def test_a_page_listens_from_the_newest_entry_it_shows(client, toban):
    page = (await client.get("/incidents/INC-0001")).text
    assert f'hx-sse:connect="/events?incident=INC-0001&amp;after={toban.last_seq()}"' in page


async def test_text_from_outside_is_shown_and_never_run(client, toban):
    toban.cases["INC-0066"] = web_cases.hostile()
    for path in ("/", "/incidents", "/approvals", "/incidents/INC-0066", "/incidents/INC-0066?lang=ja"):
        text = (await client.get(path)).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "\u202e" not in text
        assert "\u200b" not in text
        assert "&lt;U+202E&gt;evil&lt;U+200B&gt;" in text
        hrefs = [value for _, name, value in _Page(text).attributes if name in {"href", "src", "action"}]
        assert not [href for href in hrefs if "javascript" in href or "@" in href]


async def test_a_filter_finds_and_an_id_leads_there(client):
    found = (await client.get("/incidents?q=latency+search")).text
    assert "INC-0003" in found
    assert "INC-0001" not in found
    assert "No incident matches" in (await client.get("/incidents?q=zzz")).text
    jump = await client.get("/incidents?q=inc-0004")
    assert (jump.status_code, jump.headers["location"]) == (303, "/incidents/INC-0004")
    jump = await client.get("/incidents?q=CHG-0001")
    assert jump.headers["location"] == "/incidents/INC-0001#CHG-0001"


async def test_open_incidents_come_by_severity_then_newest(client):
    page = (await client.get("/")).text
    section = page[page.index('id="open"') : page.index('id="week"')]
    severities = re.findall(r'sev-(\w+)"', section)
    ranks = ["critical", "high", "warning", "info", "unknown"]
    assert [ranks.index(name) for name in severities] == sorted(ranks.index(name) for name in severities)


async def test_a_foreign_incident_is_not_found_as_a_readable_page(client):
    response = await client.get("/incidents/INC-9999")
    assert response.status_code == 404
    assert "There is nothing here under this id." in response.text


# --- votes


def _vote(toban, **changes):
    change = toban.cases["INC-0001"].changes[0].change
    return {"csrf": toban.local_csrf, "digest": change.digest, "decision": "approve", "reason": "fine", **changes}


async def test_a_vote_counts_and_leads_back_to_the_plan(client, toban):
    response = await client.post("/changes/CHG-0001/vote", data=_vote(toban))
    assert (response.status_code, response.headers["location"]) == (303, "/incidents/INC-0001#CHG-0001")
    file = toban.cases["INC-0001"].changes[0]
    assert file.change.state is ChangeState.APPROVED
    assert file.approvals[-1].reason == "fine"


@pytest.mark.parametrize("csrf", ["", "wrong", "ローカル"])
async def test_a_vote_without_the_pages_token_is_not_counted(client, toban, csrf):
    response = await client.post("/changes/CHG-0001/vote", data=_vote(toban, csrf=csrf))
    assert response.status_code == 403
    assert "Your vote was not counted" in response.text
    assert toban.cases["INC-0001"].changes[0].change.state is ChangeState.AWAITING_APPROVAL


async def test_a_vote_on_another_plan_than_the_one_shown_is_refused_with_the_fresh_plan(client, toban):
    response = await client.post("/changes/CHG-0001/vote", data=_vote(toban, digest="0" * 64))
    assert response.status_code == 409
    assert "CHG-0001 is not what you looked at; look at it again" in response.text
    assert toban.cases["INC-0001"].changes[0].change.digest in response.text


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"decision": "maybe"}, 422), ({"digest": "short"}, 422), ({"reason": "x" * 2001}, 422), ({"extra": "1"}, 422)],
)
async def test_a_malformed_vote_is_refused(client, toban, changes, status):
    response = await client.post("/changes/CHG-0001/vote", data=_vote(toban, **changes))
    assert response.status_code == status
    assert len(toban.cases["INC-0001"].changes[0].approvals) == 1


async def test_a_vote_that_is_no_form_or_gives_a_field_twice_is_refused(client, toban):
    as_json = await client.post("/changes/CHG-0001/vote", json=_vote(toban))
    body = "&".join(f"{key}={value}" for key, value in _vote(toban).items()) + "&decision=reject"
    twice = await client.post("/changes/CHG-0001/vote", content=body, headers=_FORM)
    assert (as_json.status_code, twice.status_code) == (422, 422)


async def test_a_vote_on_an_unknown_change_is_not_found(client, toban):
    assert (await client.post("/changes/CHG-9999/vote", data=_vote(toban))).status_code == 404


# --- an unknown outcome


async def test_a_person_who_looked_settles_an_unknown_outcome(client, toban):
    sent = {"csrf": toban.local_csrf, "decided": "executed", "reason": "the limit is 256Mi"}
    response = await client.post("/changes/CHG-0004/settlement", data=sent)
    assert (response.status_code, response.headers["location"]) == (303, "/incidents/INC-0004#next")
    assert toban.cases["INC-0004"].changes[0].change.state is ChangeState.EXECUTED


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"reason": ""}, 422, "say what you saw"),
        ({"csrf": "wrong"}, 403, "This page was open for long"),
    ],
)
async def test_a_settlement_without_a_reason_or_the_pages_token_is_refused(client, toban, changes, status, told):
    sent = {"csrf": toban.local_csrf, "decided": "failed", "reason": "not there", **changes}
    response = await client.post("/changes/CHG-0004/settlement", data=sent)
    assert response.status_code == status
    assert told in response.text
    assert toban.cases["INC-0004"].changes[0].change.state is ChangeState.UNKNOWN


# --- sign-in


async def test_without_accounts_there_is_no_sign_in(client):
    assert (await client.get("/login")).headers["location"] == "/"


async def test_with_accounts_a_browser_is_led_to_sign_in_and_back(client, toban):
    toban.users["sato"] = "correct horse"
    led = await client.get("/incidents/INC-0001?lang=en")
    assert led.status_code == 303
    assert led.headers["location"] == "/login?next=%2Fincidents%2FINC-0001%3Flang%3Den"
    form = await client.get(led.headers["location"])
    assert 'name="onward" value="/incidents/INC-0001?lang=en"' in form.text
    sent = {"name": "sato", "password": "correct horse", "csrf": toban.local_csrf, "onward": "/incidents/INC-0001"}
    inside = await client.post("/login", data=sent)
    assert (inside.status_code, inside.headers["location"]) == (303, "/incidents/INC-0001")
    cookie = inside.headers["set-cookie"]
    assert cookie.startswith("toban_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    page = await client.get("/")
    assert "Signed in as sato" in page.text


async def test_over_https_the_session_cookie_is_bound_to_the_host(client, toban):
    toban.users["sato"] = "correct horse"
    sent = {"name": "sato", "password": "correct horse", "csrf": toban.local_csrf}
    cookie = (await client.post("https://ops.example/login", data=sent)).headers["set-cookie"]
    assert cookie.startswith("__Host-toban_session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


async def test_a_wrong_password_is_told_without_saying_which_part_was_wrong(client, toban):
    toban.users["sato"] = "correct horse"
    for name in ("sato", "nobody"):
        response = await client.post("/login", data={"name": name, "password": "wrong", "csrf": toban.local_csrf})
        assert response.status_code == 401
        assert "Name or password is wrong." in response.text
        assert "set-cookie" not in response.headers


async def test_sign_in_needs_the_forms_token(client, toban):
    toban.users["sato"] = "correct horse"
    response = await client.post("/login", data={"name": "sato", "password": "correct horse"})
    assert response.status_code == 403
    assert toban.sessions == {}


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y"]
)
async def test_sign_in_never_leads_to_another_host(client, toban, onward):
    toban.users["sato"] = "correct horse"
    sent = {"name": "sato", "password": "correct horse", "csrf": toban.local_csrf, "onward": onward}
    assert (await client.post("/login", data=sent)).headers["location"] == "/"


async def test_signing_out_ends_the_session_and_needs_its_token(client, toban):
    toban.users["sato"] = "correct horse"
    await client.post("/login", data={"name": "sato", "password": "correct horse", "csrf": toban.local_csrf})
    assert (await client.post("/logout", data={"csrf": "wrong"})).status_code == 403
    assert toban.sessions
    assert (await client.post("/logout", data={"csrf": "csrf-of-sato"})).status_code == 303
    assert toban.sessions == {}


# --- small views


def test_a_diff_keeps_its_signs_and_says_what_each_line_is():
    lines, cut = diff.lines("--- a\n+++ b\n@@ -1 +1 @@\n same\n-old\n+new")
    assert [line.kind for line in lines] == ["head", "head", "hunk", "same", "removed", "added"]
    assert (lines[-1].text, cut) == ("+new", 0)


def test_a_long_diff_is_cut_and_says_by_how_much():
    lines, cut = diff.lines("+x\n" * 1000)
    assert (len(lines), cut) == (400, 600)


@pytest.mark.parametrize("link", ["http://prometheus:9090/graph?a=b", "https://grafana.example/d/x"])
def test_a_web_link_is_kept(link):
    assert evidence.web_link(link) == link


@pytest.mark.parametrize(
    "link",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "//host/x",
        "http://",
        "http://good@evil/",
        "http://a\\b",
        "http://[",
        "http://a\u202eb",
    ],
)
def test_anything_else_is_no_link(link):
    assert evidence.web_link(link) == ""


def test_a_storm_reads_as_few_groups_with_what_their_alerts_share_and_where_they_differ():
    one = web_cases.alert(1, "TargetDown", "cart", Severity.WARNING, 5, labels={"alertname": "TargetDown", "pod": "a"})
    two = web_cases.alert(2, "TargetDown", "cart", Severity.HIGH, 4, labels={"alertname": "TargetDown", "pod": "b"})
    other = web_cases.alert(
        3, "TargetDown", "web", Severity.CRITICAL, 6, state=AlertState.RESOLVED, ended_at=web_cases.NOW
    )
    cart, web = alerts.groups([two, other, one])
    assert [alert.id for alert in cart.members] == ["ALR-0001", "ALR-0002"]
    assert (cart.severity, cart.firing, web.firing) == (Severity.HIGH, 2, 0)
    assert cart.shared == {"alertname": "TargetDown"}
    assert cart.own(two) == {"pod": "b"}


def test_findings_that_carry_a_hypothesis_come_first_and_know_what_speaks_against_it():
    shown = evidence.exhibits(web_cases.awaiting())
    assert [bool(exhibit.uses) for exhibit in shown] == sorted((bool(exhibit.uses) for exhibit in shown), reverse=True)
    crash = next(exhibit for exhibit in shown if exhibit.finding.code == "container.crash_loop")
    assert [finding.code for finding in crash.against] == ["change.rollout"]
