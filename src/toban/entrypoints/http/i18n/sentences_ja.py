"""Japanese sentences for what the analysis and the flow say, by code, filled with the facts that come with it.

A value is a template, or a function where a part of the sentence depends on the facts. `phrases_ja` translates reasons.
"""

# ruff: noqa: RUF001 - full-width punctuation is how Japanese is written

from collections.abc import Callable, Mapping
from typing import Any

from toban.analysis import metrics
from toban.entrypoints.http.i18n import ja

Facts = Mapping[str, Any]
Sentence = str | Callable[[Facts], str]

_MINUTE_S, _HOUR_S = 60, 3600
_WORKLOAD = "{workload_kind} {namespace}/{workload}"
_CONTAINER = _WORKLOAD + " のコンテナ {container}"
_TAIL = "（Pod {pod_count} 個、再起動 {restarts} 回）"


def _oom(facts: Facts) -> str:
    limit = f"メモリ上限 {facts['limit']}" if facts.get("limit") else "ノードの空きメモリ"
    return (_CONTAINER + " が、" + limit + " を超えたため強制終了されました" + _TAIL + "。").format_map(facts)


def _killed(facts: Facts) -> str:
    limit = f"（メモリ上限 {facts['limit']}）" if facts.get("limit") else ""
    return (_CONTAINER + limit + " が、理由の記録なしに SIGKILL（137）で終了しました" + _TAIL + "。").format_map(facts)


def _crash(facts: Facts) -> str:
    again = "を繰り返し、再起動の間隔が延びています" if facts.get("looping") else "しました"
    return (_CONTAINER + " が終了コード {exit_code} で異常終了" + again + _TAIL + "。").format_map(facts)


def _config(facts: Facts) -> str:
    what = "{source_kind} {namespace}/{source_name}" + (" のキー {missing_key}" if facts.get("missing_key") else "")
    who = _CONTAINER if facts.get("container") else _WORKLOAD
    return (who + " を起動できません。" + what + " がありません。").format_map(facts)


def _stuck(facts: Facts) -> str:
    late = "期限も過ぎています。" if facts.get("overdue") else ""
    return (
        _WORKLOAD + " のリビジョン {revision} のロールアウトが止まっています。新しい Pod {wanted} 個のうち"
        "準備完了は {ready} 個です。" + late
    ).format_map(facts)


def _seconds(facts: Facts) -> str:
    seconds = facts.get("seconds_before_start")
    if not isinstance(seconds, (int, float)):
        return ""
    length = abs(seconds)
    if length < 2 * _MINUTE_S:
        shown = f"{round(length)} 秒"
    else:
        shown = f"{round(length / _MINUTE_S)} 分" if length < 2 * _HOUR_S else f"{round(length / _HOUR_S)} 時間"
    return f"最初のアラートの {shown}{'前' if seconds >= 0 else '後'}に "


def _rollout(facts: Facts) -> str:
    what = ""
    if facts.get("image_changed"):
        what = f"（イメージ {facts.get('old_image') or 'なし'} → {facts['new_image']}）"
    elif facts.get("restart_only"):
        what = "（再起動のみ、ほかの変更なし）"
    elif facts.get("changes"):
        paths = [str(change.get("path", "")) for change in facts["changes"]]
        what = f"（変更: {'、'.join(paths[:3])}{' ほか' if len(paths) > 3 else ''}）"  # noqa: PLR2004 - as in English
    return (_seconds(facts) + _WORKLOAD + " がリビジョン {revision} にロールアウトされました").format_map(
        facts
    ) + f"{what}。"


def _configmap(facts: Facts) -> str:
    verb = {"created": "作成", "edited": "編集", "deleted": "削除"}.get(str(facts.get("change")), "変更")
    return (_seconds(facts) + "ConfigMap {namespace}/{configmap} が" + verb + "されました。").format_map(facts)


def _lacking(facts: Facts) -> str:
    because = "、".join(facts.get("lacking") or ())
    short = f"（不足: {because}）" if because else ""
    return (_WORKLOAD + " の Pod {pod_count} 個を配置できるノードがありません").format_map(facts) + f"{short}。"


def _moved(facts: Facts) -> str:
    name = ja.TEXTS.get(f"metric.{facts['metric']}", str(facts["metric"]))
    verb = "上昇" if facts["direction"] == "up" else "低下"
    before, now = metrics.amount(facts["baseline"], facts["unit"]), metrics.amount(facts["now"], facts["unit"])
    back = "（現在は平常に戻っています）" if facts.get("ended") else ""
    return f"{facts['service']} の{name}が {before} から {now} に{verb}しました{back}。"


def _near_limit(facts: Facts) -> str:
    peak, share = metrics.amount(facts["peak"], "B"), round(100 * facts["share"])
    return f"{facts['service']} のメモリ使用量が {peak} に達しました（上限 {facts['limit']} の {share} %）。"


def _callee(facts: Facts) -> str:
    host = facts.get("peer") or facts["host"]
    return (_CONTAINER + " が、").format_map(facts) + f"{host} に接続できないと記録しています。"


FINDINGS: dict[str, Sentence] = {
    "container.oom_killed": _oom,
    "container.killed": _killed,
    "container.crash_loop": _crash,
    "container.liveness_failed": _CONTAINER + " が、{probe} プローブの失敗により強制終了されました" + _TAIL + "。",
    "container.image_unavailable": _CONTAINER + " を起動できません。イメージ {image} を取得できません。",
    "config.missing": _config,
    "deployment.unavailable": _WORKLOAD + " の利用可能なレプリカは {wanted} 個中 {available} 個です。",
    "rollout.stuck": _stuck,
    "pod.not_ready": _WORKLOAD + " の Pod {pod_count} 個が、起動しているものの readiness プローブに失敗しています。",
    "pod.unschedulable": _lacking,
    "node.not_ready": "ノード {node} が Ready ではありません。",
    "node.pressure": "ノード {node} が {condition} を報告しています。",
    "change.rollout": _rollout,
    "change.configmap": _configmap,
    "log.env_missing": _CONTAINER + " が、環境変数 {missing_key} が設定されていないと記録しています。",
    "log.callee_failed": _callee,
    "log.last_words": _CONTAINER + " が、終了する直前にエラーを記録しています。",
    "metric.memory_near_limit": _near_limit,
    **{f"metric.{metric.name}": _moved for metric in metrics.TABLE},
}


def _rule(facts: Facts) -> str:
    hold = f"（{round(facts['hold_s'])} 秒継続で発報）" if facts.get("hold_s") else ""
    return f"アラートルール {facts['alert']} は {facts['state']} です{hold}。"


def _ended(facts: Facts) -> str:
    after = f" {round(facts['seconds'])} 秒後に" if isinstance(facts.get("seconds"), (int, float)) else ""
    return f"アラート {facts['alert']} は{after}自然に解消しました。"


FINDINGS |= {"alert.rule": _rule, "alert.ended": _ended}


def _memory_cause(facts: Facts) -> str:
    limit = f"上限の {facts['limit']}" if facts.get("limit") else "ノードの空き"
    return (_CONTAINER + " に必要なメモリが、").format_map(facts) + f"{limit}を超えています。"


def _config_cause(facts: Facts) -> str:
    if not facts.get("source_name"):
        return (_CONTAINER + " に環境変数 {missing_key} が設定されていません。").format_map(facts)
    what = "{source_kind} {namespace}/{source_name}" + (" のキー {missing_key}" if facts.get("missing_key") else "")
    return (_WORKLOAD + " に必要な " + what + " がありません。").format_map(facts)


def _rollout_cause(facts: Facts) -> str:
    if facts.get("image_unavailable"):
        return (
            _WORKLOAD + " のリビジョン {revision} が使うイメージ {image_unavailable} を取得できません。"
        ).format_map(facts)
    changed = facts.get("image") != facts.get("previous_image")
    image = f"（イメージ {facts['image']}）" if changed else ""
    return (_WORKLOAD + " のリビジョン {revision} のロールアウト").format_map(
        facts
    ) + f"{image}が障害を持ち込みました。"


def _crash_cause(facts: Facts) -> str:
    if facts.get("probe"):
        return (_WORKLOAD + " のアプリケーションが {probe} プローブに失敗しています。").format_map(facts)
    return (_CONTAINER + " のアプリケーションが終了コード {exit_code} で終了しています。").format_map(facts)


def _capacity_cause(facts: Facts) -> str:
    because = "、".join(facts.get("lacking") or ())
    return ("クラスターに " + _WORKLOAD + " を配置する空きがありません").format_map(facts) + (
        f"（不足: {because}）。" if because else "。"
    )


def _dependency_cause(facts: Facts) -> str:
    return f"{facts.get('peer') or facts['host']} が {facts['caller']} に応答していません（理由は不明）。"


def _transient_cause(facts: Facts) -> str:
    after = f" {round(facts['seconds'])} 秒後に" if isinstance(facts.get("seconds"), (int, float)) else ""
    return f"アラート {facts['alert']} は{after}自然に解消し、現在は異常がありません。"


HYPOTHESES: dict[str, Sentence] = {
    "memory_limit": _memory_cause,
    "image_unavailable": _WORKLOAD + " のイメージ {image} を取得できません。",
    "config_missing": _config_cause,
    "bad_rollout": _rollout_cause,
    "crash": _crash_cause,
    "node_problem": "ノード {node} に異常があります（{condition}）。",
    "capacity": _capacity_cause,
    "dependency": _dependency_cause,
    "transient": _transient_cause,
}


def _opened(facts: Facts) -> str:
    return f"{facts['name']} によりインシデントを開きました。"


def _joined(facts: Facts) -> str:
    because = facts.get("because_said") or facts.get("because")
    return f"{facts['name']} を追加しました" + (f"（{because}）。" if because else "。")


def _investigated(facts: Facts) -> str:
    missing = "、".join(str(item) for item in facts.get("missing") or ())
    more = f"確認できなかったもの: {missing}。" if missing else ""
    return f"{facts['reads']} 回の読み取りから所見 {facts['findings']} 件を得ました。{more}"


def _diagnosed(facts: Facts) -> str:
    if facts.get("verdict") == "inconclusive" or not facts.get("cause"):
        return "原因を特定できませんでした。"
    cause = ja.TEXTS.get(f"cause.{facts['cause']}", str(facts["cause"]))
    return f"診断: {cause}（確信度 {round(100 * facts['confidence'])} %）。"


def _planned(facts: Facts) -> str:
    risk = ja.TEXTS.get(f"risk.{facts['risk']}", str(facts["risk"]))
    place = ja.TEXTS.get(f"environment.{facts['environment']}", str(facts["environment"]))
    return f"{facts['change']} を計画しました（{place}、{risk}、必要な承認 {facts['approvals']} 名）。"


def _voted(verb: str) -> Callable[[Facts], str]:
    def say(facts: Facts) -> str:
        reason = f"（理由: {facts['reason']}）" if facts.get("reason") else ""
        return f"{facts['actor']} が {facts['change']} を{verb}しました{reason}。"

    return say


def _settled(facts: Facts) -> str:
    how = {"probe": "対象への再確認", "executed": "反映されていたとの確認", "failed": "反映されていなかったとの確認"}
    reason = f"（{facts['reason']}）" if facts.get("reason") else ""
    return f"{facts['actor']} が {facts['change']} を{how[facts['decided']]}により決着させました{reason}。"


def _with_reason(text: str) -> Callable[[Facts], str]:
    def say(facts: Facts) -> str:
        reason = facts.get("reason_said") or facts.get("reason")
        return text.format_map(facts) + (f"（{reason}）。" if reason else "。")

    return say


TIMELINE: dict[str, Sentence] = {
    "incident.opened": _opened,
    "incident.quiet": "すべてのアラートが解消しました。",
    "incident.escalated": _with_reason("担当者の対応が必要です"),
    "incident.resolved": "インシデントが解決しました。",
    "incident.closed": "インシデントをクローズしました。",
    "alert.joined": _joined,
    "alert.resolved": "{name} が解消しました。",
    "investigation.done": _investigated,
    "diagnosis.made": _diagnosed,
    "plan.none": _with_reason("変更は提案しません"),
    "change.planned": _planned,
    "change.approve": _voted("承認"),
    "change.reject": _voted("却下"),
    "change.approved": _with_reason("{change} が承認されました"),
    "change.rejected": _with_reason("{change} が却下されました"),
    "change.expired": "{change} は期限までに承認されませんでした。",
    "change.dispatching": "{change} を開始しました。",
    "change.executed": _with_reason("{change} を実行しました"),
    "change.failed": _with_reason("{change} が失敗しました"),
    "change.unknown": _with_reason("{change} が反映されたか分かりません"),
    "change.obsolete": _with_reason("{change} は状況が変わったため無効になりました"),
    "change.halted": _with_reason("{change} は停止されました"),
    "change.cancelled": _with_reason("{change} は取り消されました"),
    "change.escalated": _with_reason("{change} は担当者の対応が必要です"),
    "change.settled": _settled,
    "change.rolled_back": "{change} を切り戻しました。",
    "step.executed": _with_reason("{change} の {action} を実行しました"),
    "step.failed": _with_reason("{change} の {action} が失敗しました"),
    "step.unknown": _with_reason("{change} の {action} が反映されたか分かりません"),
    "step.skipped": _with_reason("{change} の {action} を省略しました"),
    "verification.passed": "{change} の効果を確認しました。",
    "verification.failed": "{change} では改善しませんでした。",
    "verification.inconclusive": "{change} の効果を確認できませんでした。",
    "lesson.written": "教訓を記録しました。",
}
