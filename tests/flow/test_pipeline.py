"""From a sender's body to a lesson, in virtual time, with faults at the worst moments."""

import pytest

from support.house import House, alert
from support.world import World
from toban.errors import ConflictError, InvalidInputError, InvalidTransitionError, PermissionDeniedError
from toban.flow.execute import Settlement
from toban.governance import access, audit
from toban.model.approval import Decision
from toban.model.change import ChangeState, StepState
from toban.model.incident import IncidentState
from toban.model.security import PrincipalType, SecurityContext
from toban.model.verification import CheckResult
from toban.store import audit as audit_store


async def planned(house: House) -> None:
    await house.know_services()
    await house.post(alert())
    await house.run()


async def test_an_alert_becomes_a_verified_fix_and_a_lesson(house):
    await planned(house)
    assert (await house.change()).state is ChangeState.AWAITING_APPROVAL
    await house.vote()
    await house.run()
    file = await house.file()
    assert file.incident.state is IncidentState.RESOLVED
    assert file.changes[0].change.state is ChangeState.SUCCEEDED
    assert file.changes[0].verification.result is CheckResult.PASSED
    assert file.lesson.worked is True
    assert file.lesson.cause == "memory_limit"
    assert house.world.effects == ["CHG-0001:raise_limit:1"]


async def test_the_diagnosis_cites_findings_that_exist(house):
    await planned(house)
    file = await house.file()
    known = {finding.id for finding in file.findings}
    best = file.diagnosis.hypotheses[0]
    assert best.cause == "memory_limit"
    assert best.supports
    assert {
        evidence.finding_id for hypothesis in file.diagnosis.hypotheses for evidence in hypothesis.supports
    } <= known


async def test_nothing_is_written_before_the_approval(house):
    await planned(house)
    house.clock.advance(3600)
    await house.run()
    assert house.world.effects == []


async def test_a_rejection_ends_the_change_and_calls_a_person(house):
    await planned(house)
    await house.vote(Decision.REJECT)
    await house.run()
    assert (await house.change()).state is ChangeState.REJECTED
    assert (await house.file()).incident.state is IncidentState.ESCALATED
    assert house.world.effects == []


async def test_a_change_that_nobody_approves_expires_and_never_runs(house):
    await planned(house)
    house.clock.advance(4 * 3600 + 5)
    await house.run()
    assert (await house.change()).state is ChangeState.EXPIRED
    with pytest.raises(InvalidTransitionError):
        await house.vote()
    assert house.world.effects == []


async def test_the_requester_cannot_approve_its_own_change(house):
    await planned(house)
    with pytest.raises(PermissionDeniedError, match="somebody else"):
        await house.vote(by=house.you("toban"))


async def test_services_and_agents_cannot_vote(house):
    await planned(house)
    service = SecurityContext(
        user_id="robot", workspace="default", permissions=frozenset({"approvals.vote:staging"}),
        principal=PrincipalType.SERVICE,
    )  # fmt: skip
    with pytest.raises(PermissionDeniedError, match="only people"):
        await house.vote(by=service)


async def test_one_person_has_one_vote_where_two_are_needed(tmp_path):
    from toban.model.environment import Environment

    house = House(tmp_path, environment=Environment.PRODUCTION)
    try:
        await planned(house)
        assert (await house.change()).approvals_needed == 2
        aki, mei = await house.approver("aki"), await house.approver("mei")
        await house.vote(by=aki)
        with pytest.raises(ConflictError, match="voted already"):
            await house.vote(by=aki)
        await house.run()
        assert house.world.effects == []
        await house.vote(by=mei)
        await house.run()
        assert (await house.change()).state is ChangeState.SUCCEEDED
    finally:
        house.close()


async def test_a_vote_stops_counting_when_its_voter_loses_the_right(house):
    await planned(house)
    aki = await house.approver("aki")
    await house.vote(by=aki)

    def close(connection):
        from toban.store import schema

        connection.execute(schema.user.update().values(disabled_at=house.clock.now().isoformat()))

    await house.database.write(close)
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.OBSOLETE
    assert "approvals are needed" in change.outcome
    assert house.world.effects == []


async def test_a_write_that_was_refused_for_load_is_sent_again_and_done_once(house):
    await planned(house)
    house.world.write_fault = "refused"
    await house.vote()
    await house.run()
    assert (await house.change()).state is ChangeState.SUCCEEDED
    assert len(house.world.effects) == 1


async def test_a_target_that_somebody_else_changed_makes_the_change_obsolete(house):
    await planned(house)
    house.world.limit, house.world.version = 150, 9
    await house.vote()
    await house.run()
    assert (await house.change()).state is ChangeState.OBSOLETE
    assert house.world.effects == []


async def test_an_obsolete_change_is_planned_anew_while_the_signal_is_there(house):
    await planned(house)
    house.world.limit, house.world.version = 150, 9
    await house.vote()
    await house.run()
    second = await house.change("CHG-0002")
    assert second.state is ChangeState.AWAITING_APPROVAL
    assert second.steps[0].params["limit"] != (await house.change()).steps[0].params["limit"]


async def test_a_signal_that_is_gone_makes_the_change_obsolete(house):
    await planned(house)
    house.world.need = 10
    await house.vote()
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.OBSOLETE
    assert "gone" in change.outcome
    assert house.world.effects == []


async def test_a_change_altered_in_the_database_after_the_vote_does_not_run(house):
    await planned(house)
    await house.vote()

    def tamper(connection):
        from toban.store import changes

        change = changes.get(connection, "default", "CHG-0001")
        step = change.steps[0].model_copy(update={"params": change.steps[0].params | {"limit": "9999Mi"}})
        changes.update(connection, change, steps=(step,))

    await house.database.write(tamper)
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.OBSOLETE
    assert "not what was approved" in change.outcome
    assert house.world.effects == []


async def test_the_kill_switch_file_stops_an_approved_change(house, tmp_path):
    await planned(house)
    (tmp_path / "HALT").write_text("storm in the cluster")
    await house.vote()
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.HALTED
    assert "storm in the cluster" in change.outcome
    assert house.world.effects == []


@pytest.mark.parametrize("fault", ["lost before", "lost after"])
async def test_a_write_without_an_answer_is_read_back_and_done_exactly_once(house, fault):
    await planned(house)
    house.world.write_fault = fault
    await house.vote()
    await house.run()
    assert (await house.change()).state is ChangeState.SUCCEEDED
    assert len(house.world.effects) == 1


async def test_an_outcome_that_nobody_can_read_is_unknown_and_never_done(house):
    await planned(house)
    house.world.write_fault = "lost after"
    house.world.probe_blind = True
    await house.vote()
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.UNKNOWN
    assert change.steps[0].state is StepState.UNKNOWN
    assert (await house.file()).incident.state is IncidentState.ESCALATED
    assert (await house.file()).lesson is None


async def unknown(house):
    await planned(house)
    house.world.write_fault = "lost after"
    house.world.probe_blind = True
    await house.vote()
    await house.run()
    assert (await house.change()).state is ChangeState.UNKNOWN


async def test_an_unknown_change_is_settled_by_a_probe_that_can_read_again(house):
    await unknown(house)
    house.world.probe_blind = False
    await house.pipeline.settle(house.you(), await house.change(), Settlement.PROBE, "")
    await house.run()
    assert (await house.change()).state is ChangeState.SUCCEEDED
    assert len(house.world.effects) == 1


async def test_a_probe_that_still_cannot_read_leaves_it_unknown(house):
    await unknown(house)
    after = await house.pipeline.settle(house.you(), await house.change(), Settlement.PROBE, "")
    assert after.state is ChangeState.UNKNOWN


async def test_a_person_who_looked_can_settle_it_either_way_and_toban_cannot(house):
    await unknown(house)
    with pytest.raises(PermissionDeniedError):
        await house.pipeline.settle(
            access.toban_context("default"), await house.change(), Settlement.EXECUTED, "it says so"
        )
    with pytest.raises(InvalidInputError, match="needs a reason"):
        await house.pipeline.settle(house.you(), await house.change(), Settlement.FAILED, "")
    await house.pipeline.settle(house.you(), await house.change(), Settlement.FAILED, "the limit is as it was")
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.ESCALATED
    assert "the limit is as it was" in change.steps[0].message
    with pytest.raises(InvalidTransitionError):
        await house.pipeline.settle(house.you(), change, Settlement.EXECUTED, "")


async def test_a_refused_write_fails_and_escalates(house):
    await planned(house)
    house.world.write_fault = "forbidden"
    await house.vote()
    await house.run()
    assert (await house.change()).state is ChangeState.ESCALATED
    assert house.world.effects == []


async def test_a_fix_that_does_not_work_is_rolled_back_once(house):
    await planned(house)
    house.world.need = 100_000
    await house.vote()
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.ROLLED_BACK
    assert house.world.limit == 128
    assert house.world.effects == ["CHG-0001:raise_limit:1", "CHG-0001:rollback_raise_limit:1"]


async def test_the_kill_switch_stops_a_rollback_too_and_calls_a_person(house, tmp_path):
    await planned(house)
    house.world.need = 100_000
    await house.vote()
    original = house.world.write

    def halt(*args):
        original(*args)
        (tmp_path / "HALT").write_text("stop everything")

    house.world.write = halt
    await house.run()
    change = await house.change()
    assert change.state is ChangeState.ESCALATED
    assert "stop everything" in change.outcome
    assert len(house.world.effects) == 1


async def test_no_data_after_the_fix_is_not_success(house):
    await planned(house)
    await house.vote()
    original = house.world.write

    def blind(*args):
        original(*args)
        house.world.metrics_down = True

    house.world.write = blind
    await house.run()
    file = await house.file()
    assert file.changes[0].verification.result is CheckResult.INCONCLUSIVE
    assert file.changes[0].change.state is ChangeState.ESCALATED
    assert file.incident.state is IncidentState.ESCALATED


async def test_alerts_that_end_by_themselves_resolve_the_incident_without_a_change(house):
    await house.know_services()
    house.world.need = 10
    await house.post(alert())
    await house.run(1)
    await house.post(alert("resolved"))
    house.clock.advance(30)
    await house.run()
    file = await house.file()
    assert file.incident.state is IncidentState.RESOLVED
    assert file.changes == ()
    assert file.lesson.worked is None


async def test_another_fault_that_joins_an_escalated_incident_is_looked_at_and_planned(house):
    await house.know_services()
    house.world.need = 10
    await house.post(alert())
    await house.run()
    assert (await house.file()).incident.state is IncidentState.ESCALATED
    house.world.need = 200
    await house.post(alert(fingerprint="b" * 16, labels={"alertname": "CartKilled"}, startsAt="2026-11-21T03:00:40Z"))
    await house.run()
    file = await house.file()
    assert file.incident.alert_count == 2
    assert file.diagnosis.hypotheses[0].cause == "memory_limit"
    assert file.changes[0].change.state is ChangeState.AWAITING_APPROVAL
    before = len(file.timeline)
    await house.run()
    assert len((await house.file()).timeline) == before


async def test_a_target_system_that_refuses_toban_yields_a_reason_and_no_change(house):
    house.world.permitted = False
    await planned(house)
    file = await house.file()
    assert file.changes == ()
    assert file.incident.state is IncidentState.ESCALATED
    assert any("does not let Toban" in entry.text for entry in file.timeline)


async def _steps_of_a_whole_run(tmp_path) -> int:
    house = House(tmp_path)
    try:
        await planned(house)
        await house.vote()
        await house.run()
        return house.engine.steps_run
    finally:
        house.close()


@pytest.mark.parametrize("crash_at", range(1, 12))
async def test_a_crash_after_any_step_changes_nothing_in_the_outcome(tmp_path, crash_at):
    house = House(tmp_path)
    try:
        house.engine.crash_at = crash_at
        await planned(house)
        await house.vote()
        await house.run(12)
        file = await house.file()
        assert file.incident.state is IncidentState.RESOLVED
        assert file.changes[0].change.state is ChangeState.SUCCEEDED
        assert len(file.changes) == 1
        assert len(house.world.effects) == 1
        kinds = [
            entry.kind for entry in file.timeline if entry.kind in {"change.planned", "step.executed", "lesson.written"}
        ]
        assert kinds == ["change.planned", "step.executed", "lesson.written"]
    finally:
        house.close()


async def test_every_step_of_a_run_is_among_the_crash_points(tmp_path):
    assert await _steps_of_a_whole_run(tmp_path) <= 11


async def test_the_audit_chain_of_a_whole_run_is_sound_and_names_intent_and_result(house):
    await planned(house)
    await house.vote()
    await house.run()
    lines: list[str] = []
    await house.database.read(audit.export, lines.append)
    report = audit.verify(audit.read_export(lines))
    assert report.sound
    query = audit_store.AuditQuery(workspace="default", subject="CHG-0001")
    events, _ = await house.database.read(audit_store.search, query)
    told = [(event.operation, event.result) for event in reversed(events)]
    assert ("change.plan", "allowed") in told
    assert ("change.approve", "allowed") in told
    assert told.index(("action.kubernetes.set_memory_limit", "started")) < told.index(
        ("action.kubernetes.set_memory_limit", "succeeded")
    )


def test_the_small_world_begins_unhealthy(house):
    assert isinstance(house.world, World)
    assert not house.world.healthy
