"""Japanese for the short reasons that the backend gives as English sentences: why grouped, why not allowed, why risky.

A row is a pattern for the whole sentence and its translation. What fits no row stays English: better read than lost.
"""

# ruff: noqa: RUF001 - full-width punctuation is how Japanese is written

import re

from toban.entrypoints.http.i18n import ja

_ROWS: tuple[tuple[str, str], ...] = (
    # why an alert is here
    (r"opened the incident", "このインシデントの発端"),
    (r"same alert as one of (\S+)", r"\1 のアラートと同一"),
    (r"same service (\S+), (\d+) s apart", r"同じサービス \1、\2 秒差"),
    (r"(\S+) is called by (\S+), (\d+) s apart", r"\1 は \2 から呼び出されている、\3 秒差"),
    (r"(\S+) calls (\S+), (\d+) s apart", r"\1 は \2 を呼び出している、\3 秒差"),
    (r"its labels name no known service, so it stands alone", "ラベルから既知のサービスを特定できないため単独"),
    (
        r"no open incident of (\S+) or its neighbours within (\d+) s",
        r"\2 秒以内に \1 や隣接サービスの未解決インシデントがない",
    ),
    (r"(\S+) calls (\S+)", r"\1 は \2 を呼び出している"),
    (r"(\S+) is about (\S+)", r"\1 は \2 に関するアラート"),
    # details of the causal graph
    (r"errors ([\d.]+ %)", r"エラー率 \1"),
    (r"(\S+), (\d+) times", r"\1、\2 件"),
    (r"ConfigMap created", "ConfigMap を作成"),
    (r"ConfigMap edited", "ConfigMap を編集"),
    (r"ConfigMap deleted", "ConfigMap を削除"),
    # why one may not vote
    (r"only people vote; this is a service or an agent", "投票できるのは人だけです"),
    (r"(CHG-\d+) is (\w+); there is nothing to vote on", r"\1 は現在「\2」で、投票の対象ではありません"),
    (r"(CHG-\d+) had to be approved by (.+ UTC)", r"\1 の承認期限は \2 でした"),
    (r"you asked for this change; somebody else must approve it", "自分が要求した変更のため、別の人の承認が必要です"),
    (
        r"this change was asked for on your behalf; somebody else must approve it",
        "あなたの代理で要求された変更のため、別の人の承認が必要です",
    ),
    (r"you have voted already", "すでに投票しています"),
    (r"you do not work in (\w+)", r"\1 の担当ではありません"),
    (r"you need the permission (\S+)", r"権限 \1 が必要です"),
    (
        r"(CHG-\d+) is not what you looked at; look at it again",
        r"\1 は確認した内容から変わっています。もう一度確認してください",
    ),
    # why it is risky
    (r"it has (\d+) targets", r"対象が \1 件ある"),
    (r"it touches (\d+) of (\d+) replicas", r"レプリカ \2 個中 \1 個に及ぶ"),
    (r"it touches an unknown share of the replicas", "影響するレプリカの割合が不明"),
    (r"(\S+) is a protected namespace", r"\1 は保護された名前空間"),
    (r"no dry-run is possible", "事前確認（dry-run）ができない"),
    (r"the same target was changed within 30 minutes", "同じ対象が 30 分以内に変更されている"),
    (r"it scales the last replica in production to 0", "本番環境の最後のレプリカを 0 にする"),
    (r"the language model rates it higher", "言語モデルがより高いリスクと評価"),
    # why there is no plan, how it ended
    (r"no cause is sure enough to plan a change", "変更を計画できるほど確かな原因がない"),
    (
        r"a change was made for this incident already; a person decides what next",
        "このインシデントではすでに変更を実施済みのため、次は担当者が判断する",
    ),
    (r"no runbook cures (\w+)", r"\1 に対するランブックがない"),
    (r"all alerts ended without a change by Toban", "Toban による変更なしに全アラートが収束"),
    (r"nobody approved it in time", "期限までに承認されなかった"),
    (r"fixed by (CHG-\d+) and verified", r"\1 で対処し、効果を確認"),
    (r"another change is in flight on (.+)", r"\1 に対する別の変更が進行中"),
    (r"(.+) is not as the change left it", r"\1 が変更直後の状態ではない"),
    (r"(.+) was changed by somebody else since it was planned", r"計画後に \1 がほかの人に変更された"),
    (r"autonomy in (\w+) is OBSERVE: diagnoses only", r"\1 の自律レベルは OBSERVE（診断のみ）"),
    (r"autonomy in (\w+) is SUGGEST: people run the plan", r"\1 の自律レベルは SUGGEST（計画の実行は人が行う）"),
)
_PATTERNS = tuple((re.compile(pattern), translation) for pattern, translation in _ROWS)
_STATES = re.compile(r"「(\w+)」")


def say(sentence: str) -> str:
    """The sentence in Japanese, or as it came."""
    plain = sentence.strip().rstrip(".")
    for pattern, translation in _PATTERNS:
        found = pattern.fullmatch(plain)
        if found:
            told = found.expand(translation)
            return _STATES.sub(lambda state: f"「{ja.TEXTS.get('change_state.' + state[1], state[1])}」", told)
    return sentence
