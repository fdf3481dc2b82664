"""Both languages say everything, with the same facts."""

import re
from string import Formatter

import pytest

from browser.support import web_cases
from toban.analysis import codes
from toban.entrypoints.http.assets import FOLDER
from toban.entrypoints.http.i18n import en, ja, phrases_ja, sentences_ja
from toban.entrypoints.http.i18n.words import Phrase, Words
from toban.model import alert, approval, change, diagnosis, environment, finding, incident, risk, timeline, verification

_TEMPLATES = FOLDER.parent / "templates"
_ENUMS = {
    "severity": alert.Severity,
    "alert_state": alert.AlertState,
    "incident_state": incident.IncidentState,
    "environment": environment.Environment,
    "change_state": change.ChangeState,
    "step_state": change.StepState,
    "risk": risk.RiskLevel,
    "verdict": diagnosis.Verdict,
    "check": verification.CheckResult,
    "decision": approval.Decision,
    "finding_kind": finding.FindingKind,
    "lane": timeline.Lane,
}
_JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def _names(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys():
    assert en.TEXTS.keys() == ja.TEXTS.keys()


@pytest.mark.parametrize("key", sorted(en.TEXTS))
def test_a_text_is_filled_with_the_same_facts_in_both_languages(key):
    assert _names(en.TEXTS[key]) == _names(ja.TEXTS[key])


@pytest.mark.parametrize("prefix", sorted(_ENUMS))
def test_every_state_and_kind_has_a_word(prefix):
    missing = {f"{prefix}.{value}" for value in _ENUMS[prefix]} - en.TEXTS.keys()
    assert not missing


def test_every_key_that_a_template_names_is_there():
    named = set()
    for path in _TEMPLATES.glob("*.j2"):
        named |= set(re.findall(r"""\bt(?:\.count)?\("([a-z_.]+[a-z_])\"(?! ~)""", path.read_text("utf-8")))
    assert named, "no key was found: the pattern of this test is wrong"
    known = en.TEXTS.keys() | {key.removesuffix(".one") for key in en.TEXTS}
    assert named <= known


def test_no_text_is_left_over():
    places = [*_TEMPLATES.glob("*.j2"), *FOLDER.parent.glob("**/*.py")]
    code = "\n".join(path.read_text("utf-8") for path in places if path.parent.name != "i18n")
    code += (FOLDER.parent / "i18n" / "words.py").read_text("utf-8")
    made = {"unit", "settle", "strip", "mark", "role", "cause", "metric", "help", "error", "next", "incidents", *_ENUMS}
    unused = {
        key
        for key in en.TEXTS
        if key.split(".")[0] not in made
        and not re.search(rf"""["']{re.escape(key.removesuffix(".one").removesuffix(".other"))}["']""", code)
    }
    assert not unused


@pytest.mark.parametrize("code", sorted(codes.FINDINGS))
def test_every_finding_code_has_a_japanese_sentence(code):
    assert code in sentences_ja.FINDINGS


@pytest.mark.parametrize("cause", sorted(codes.CAUSES))
def test_every_cause_has_a_name_and_a_japanese_sentence(cause):
    assert f"cause.{cause}" in en.TEXTS
    assert cause in sentences_ja.HYPOTHESES


@pytest.mark.parametrize(
    ("table", "facts"),
    [(sentences_ja.FINDINGS, codes.FINDINGS), (sentences_ja.HYPOTHESES, codes.CAUSES)],
    ids=["findings", "causes"],
)
def test_a_japanese_sentence_uses_only_facts_that_its_code_brings(table, facts):
    for code, sentence in table.items():
        if isinstance(sentence, str):
            assert _names(sentence) <= set(facts[code]), code


@pytest.mark.parametrize("case", sorted(web_cases.all_cases()))
def test_a_whole_case_is_told_in_japanese(case):
    words = Words("ja")
    found = web_cases.all_cases()[case]
    told = [words.finding(one) for one in found.findings]
    told += [words.entry(one) for one in found.timeline]
    told += [words.hypothesis(one) for one in found.diagnosis.hypotheses] if found.diagnosis else []
    told += [words.reason(one.joined_because) for one in found.alerts if one.joined_because]
    assert told
    for sentence in told:
        assert _JAPANESE.search(sentence), sentence
        assert "{" not in sentence


def test_a_finding_with_an_unknown_code_or_a_missing_fact_is_told_in_english():
    base = web_cases.crash()
    words = Words("ja")
    assert words.finding(base.model_copy(update={"code": "vendor.special"})) == base.statement
    assert words.finding(base.model_copy(update={"facts": {}})) == base.statement


def test_english_is_told_as_the_analysis_wrote_it():
    found = web_cases.rollout()
    assert Words("en").finding(found) == found.statement


def test_a_value_from_outside_is_never_a_template():
    found = web_cases.crash().model_copy(update={"facts": {**web_cases.crash().facts, "container": "{__class__}{0}"}})
    assert "{__class__}{0}" in Words("ja").finding(found)


@pytest.mark.parametrize(
    ("lang", "seconds", "told"),
    [
        ("en", 0, "0 s"),
        ("en", 59.9, "59 s"),
        ("en", 3661, "1 h 1 min"),
        ("en", 3600, "1 h"),
        ("en", 90061, "1 d 1 h"),
        ("ja", 3661, "1時間1分"),
        ("ja", -5, "0秒"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(lang, seconds, told):
    assert Words(lang).duration(seconds) == told


def test_a_phrase_says_its_inner_phrases_and_counts():
    phrase = Phrase("next.awaiting", {"change": "CHG-1", "until": "12:00", "missing": Phrase("next.missing", {"n": 2})})
    assert Words("en").phrase(phrase) == "CHG-1 waits for 2 approvals until 12:00."


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("frontend calls checkout, 30 s apart", "frontend は checkout を呼び出している、30 秒差"),
        ("CHG-0001 is rejected; there is nothing to vote on", "CHG-0001 は現在「却下」で、投票の対象ではありません"),
        ("something nobody foresaw", "something nobody foresaw"),
    ],
)
def test_a_known_reason_is_translated_and_an_unknown_one_is_kept(english, japanese):
    assert phrases_ja.say(english) == japanese


def test_a_runbook_brings_its_own_japanese_title():
    title = Words("ja").runbook("rollback-deployment@1", "Roll back deployment: Deployment shop/checkout")
    assert title == "デプロイメントをロールバックする: Deployment shop/checkout"
