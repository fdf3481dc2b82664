"""Contexts carry the rights of the moment; secrets are shown once; the last administrator stays."""

import sqlite3
from datetime import timedelta

import pytest

from toban.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    UnauthenticatedError,
)
from toban.governance import access
from toban.model.security import AuthLevel, PrincipalType, Role
from toban.store import access as rows
from toban.store import audit
from toban.store.access import Account


@pytest.fixture
def ana(add_account):
    return add_account("ana", Role.ADMINISTRATOR)


@pytest.fixture
def bob(ana, add_account):
    return add_account("bob", Role.OPERATOR)


@pytest.fixture
def session_of(database, now):
    return lambda account: database.write_now(access.open_session, account, now=now)


@pytest.fixture
def context_of(database, now, session_of):
    def make(account):
        return database.read_now(access.context_for_session, session_of(account).secret.reveal(), now=now)

    return make


def operations(database):
    events, _ = database.read_now(audit.search, audit.AuditQuery("default"))
    return [(event.operation, event.subject) for event in reversed(events)]


# --- the local door --------------------------------------------------------------------------------------------------


def test_nobody_needs_to_sign_in_until_a_person_has_an_account(database, add_account, admin, now):
    assert not database.read_now(access.is_sign_in_required)
    add_account("ci", Role.VIEWER, principal=PrincipalType.SERVICE)
    assert not database.read_now(access.is_sign_in_required)
    add_account("ana", Role.ADMINISTRATOR)
    assert database.read_now(access.is_sign_in_required)


def test_the_local_person_may_everything_and_is_a_human_called_you(admin):
    assert (admin.user_id, admin.principal, admin.auth_level) == ("you", PrincipalType.HUMAN, AuthLevel.LOCAL)
    assert admin.may("approvals.vote:production")


def test_toban_is_a_service_that_may_patch_and_may_not_vote():
    toban = access.toban_context("default", "r-1")
    assert (toban.user_id, toban.principal, toban.request_id) == ("toban", PrincipalType.SERVICE, "r-1")
    assert toban.may("deployments.patch:shop")
    assert not toban.may("approvals.vote:staging")


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_gives_the_rights_of_its_owners_roles(bob, context_of):
    context = context_of(bob)
    assert (context.user_id, context.auth_level) == ("bob", AuthLevel.PASSWORD)
    assert context.may("deployments.patch:shop")
    assert not context.may("approvals.vote:staging")


def test_a_session_ends_after_twelve_hours_to_the_second(database, bob, session_of, now):
    secret = session_of(bob).secret.reveal()
    end = now + timedelta(hours=12)
    assert database.read_now(access.context_for_session, secret, now=end - timedelta(seconds=1)).user_id == "bob"
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_session, secret, now=end)


def test_signing_out_ends_the_session(database, bob, session_of, now):
    secret = session_of(bob).secret.reveal()
    database.write_now(access.end_session, secret)
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_session, secret, now=now)


@pytest.mark.parametrize("cookie", ["", "nonsense", "\ud800", "x" * 10_000])
def test_a_cookie_that_is_none_of_ours_is_refused(database, cookie, now):
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_session, cookie, now=now)


def test_each_session_has_its_own_form_token(database, bob, session_of, now):
    one, two = session_of(bob), session_of(bob)
    assert one.csrf != two.csrf
    assert database.read_now(access.csrf_of, one.secret.reveal(), now=now) == one.csrf


def test_ended_sessions_are_forgotten_when_a_new_one_opens(database, bob, session_of, now):
    old = session_of(bob).secret.reveal()
    database.write_now(access.open_session, bob, now=now + timedelta(hours=13))
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_session, old, now=now)


def test_no_secret_is_stored_in_clear(database, bob, session_of, context_of, now, tmp_path):
    session = session_of(bob).secret.reveal()
    token = database.write_now(access.issue_token, context_of(bob), "bob", label="ci", now=now).secret.reveal()
    with sqlite3.connect(tmp_path / "toban.db") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert session not in dump
    assert token not in dump
    assert token.removeprefix("tbn_") not in dump


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_gives_its_owner_a_context_with_the_level_token(database, bob, context_of, now):
    issued = database.write_now(access.issue_token, context_of(bob), "bob", label="ci", now=now)
    context = database.read_now(access.context_for_token, issued.secret.reveal(), now=now, request_id="r-9")
    assert issued.secret.reveal().startswith("tbn_")
    assert (context.user_id, context.auth_level, context.request_id) == ("bob", AuthLevel.TOKEN, "r-9")
    assert context.session_id == issued.token.id == "TOK-0001"
    assert issued.secret.reveal() not in repr(context)


def test_a_token_follows_the_rights_of_its_owner_at_the_moment_of_use(database, admin, bob, context_of, now):
    secret = database.write_now(access.issue_token, context_of(bob), "bob", label="ci", now=now).secret.reveal()
    database.write_now(access.set_roles, admin, "bob", (Role.VIEWER,), now=now)
    assert not database.read_now(access.context_for_token, secret, now=now).may("deployments.patch:shop")
    database.write_now(access.close_account, admin, "bob", now=now)
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_token, secret, now=now)


def test_a_token_lives_ninety_days_at_most(database, bob, context_of, now):
    me = context_of(bob)
    secret = database.write_now(access.issue_token, me, "bob", label="ci", now=now).secret.reveal()
    end = now + timedelta(days=90)
    assert database.read_now(access.context_for_token, secret, now=end - timedelta(seconds=1))
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_token, secret, now=end)
    for days in (0, -1, 91):
        with pytest.raises(InvalidInputError, match="1 to 90 days"):
            database.write_now(access.issue_token, me, "bob", label="ci", now=now, days=days)


def test_a_revoked_token_is_of_no_use_any_more(database, bob, context_of, now):
    me = context_of(bob)
    issued = database.write_now(access.issue_token, me, "bob", label="ci", now=now)
    database.write_now(access.revoke_token, me, issued.token.id, now=now)
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_token, issued.secret.reveal(), now=now)
    assert [token.revoked_at for token in database.read_now(rows.tokens, "default", "bob")] == [now]


def test_a_token_cannot_issue_tokens(database, bob, context_of, now):
    secret = database.write_now(access.issue_token, context_of(bob), "bob", label="ci", now=now).secret.reveal()
    context = database.read_now(access.context_for_token, secret, now=now)
    with pytest.raises(PermissionDeniedError, match="cannot issue"):
        database.write_now(access.issue_token, context, "bob", label="more", now=now)


def test_only_an_administrator_issues_tokens_for_others(database, admin, bob, context_of, add_account, now):
    add_account("ci", Role.OPERATOR, principal=PrincipalType.SERVICE)
    with pytest.raises(PermissionDeniedError):
        database.write_now(access.issue_token, context_of(bob), "ci", label="x", now=now)
    issued = database.write_now(access.issue_token, admin, "ci", label="x", now=now)
    context = database.read_now(access.context_for_token, issued.secret.reveal(), now=now)
    assert context.principal is PrincipalType.SERVICE


def test_other_peoples_tokens_do_not_exist_for_me(database, ana, bob, context_of, now):
    issued = database.write_now(access.issue_token, context_of(ana), "ana", label="ci", now=now)
    for token_id in (issued.token.id, "TOK-9999"):
        with pytest.raises(NotFoundError, match=f"no token {token_id}"):
            database.write_now(access.revoke_token, context_of(bob), token_id, now=now)


@pytest.mark.parametrize("label", ["", "   ", "x" * 81])
def test_a_token_says_what_it_is_for(database, admin, bob, label, now):
    with pytest.raises(InvalidInputError, match="what the token is for"):
        database.write_now(access.issue_token, admin, "bob", label=label, now=now)


@pytest.mark.parametrize("bearer", ["", "tbn_", "tbn_unknown", "ghp_x", "\ud800tbn_"])
def test_an_unknown_token_is_refused(database, bearer, now):
    with pytest.raises(UnauthenticatedError):
        database.read_now(access.context_for_token, bearer, now=now)


# --- accounts --------------------------------------------------------------------------------------------------------


def test_the_first_person_must_be_an_administrator(add_account):
    with pytest.raises(RefusedError, match="first person"):
        add_account("bob", Role.OPERATOR)


def test_the_last_administrator_can_be_neither_closed_nor_demoted(database, admin, ana, add_account, now):
    for attempt in (
        lambda: database.write_now(access.close_account, admin, "ana", now=now),
        lambda: database.write_now(access.set_roles, admin, "ana", (Role.VIEWER,), now=now),
    ):
        with pytest.raises(RefusedError, match="last administrator"):
            attempt()
    add_account("eve", Role.ADMINISTRATOR)
    database.write_now(access.close_account, admin, "ana", now=now)
    assert database.read_now(access.is_sign_in_required)


def test_only_administrators_manage_accounts(database, bob, context_of, now):
    me = context_of(bob)
    account = Account(
        workspace="default", name="eve", principal=PrincipalType.HUMAN, roles=(Role.VIEWER,), created_at=now
    )
    for attempt in (
        lambda: database.write_now(access.add_account, me, account, password_hash=None, now=now),
        lambda: database.write_now(access.set_roles, me, "bob", (Role.ADMINISTRATOR,), now=now),
        lambda: database.write_now(access.close_account, me, "ana", now=now),
        lambda: database.write_now(access.set_password, me, "ana", password_hash="x", now=now),
    ):
        with pytest.raises(PermissionDeniedError, match=r"users\.write"):
            attempt()


def test_accounts_are_created_in_the_own_workspace_only(database, admin, now):
    account = Account(
        workspace="other", name="eve", principal=PrincipalType.HUMAN, roles=(Role.ADMINISTRATOR,), created_at=now
    )
    with pytest.raises(PermissionDeniedError, match="own workspace"):
        database.write_now(access.add_account, admin, account, password_hash=None, now=now)


@pytest.mark.parametrize("name", ["", "Ana", "toban", "-x", "a b", "ana\u200b", "a" * 64, "ана"])
def test_names_that_could_be_taken_for_another_are_refused(add_account, name):
    with pytest.raises(InvalidInputError, match="cannot be a name"):
        add_account(name, Role.ADMINISTRATOR)


def test_a_name_is_given_once_also_after_its_account_was_closed(database, admin, bob, add_account, now):
    database.write_now(access.close_account, admin, "bob", now=now)
    with pytest.raises(ConflictError, match="already"):
        add_account("bob", Role.VIEWER)


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.APPROVER])
def test_services_can_be_neither_administrators_nor_approvers(database, admin, add_account, role, now):
    with pytest.raises(InvalidInputError, match="only people"):
        add_account("ci", role, principal=PrincipalType.SERVICE)
    add_account("cd", Role.OPERATOR, principal=PrincipalType.SERVICE)
    with pytest.raises(InvalidInputError, match="only people"):
        database.write_now(access.set_roles, admin, "cd", (role,), now=now)


def test_agents_have_no_accounts_and_services_no_passwords(add_account):
    with pytest.raises(InvalidInputError, match="agents"):
        add_account("agent-1", Role.VIEWER, principal=PrincipalType.AGENT)
    with pytest.raises(InvalidInputError, match="no password"):
        add_account("ci", Role.VIEWER, principal=PrincipalType.SERVICE, password_hash="x")
    with pytest.raises(InvalidInputError, match="at least one role"):
        add_account("ci", principal=PrincipalType.SERVICE)


def test_closing_an_account_and_a_new_password_end_its_sessions(database, ana, bob, session_of, context_of, now):
    administrator = context_of(ana)
    for act in (
        lambda: database.write_now(access.set_password, administrator, "bob", password_hash="x", now=now),
        lambda: database.write_now(access.close_account, administrator, "bob", now=now),
    ):
        secret = session_of(bob).secret.reveal()
        act()
        with pytest.raises(UnauthenticatedError):
            database.read_now(access.context_for_session, secret, now=now)
    assert database.read_now(rows.account, "default", "ana").enabled


def test_people_change_their_own_password_but_not_with_a_token(database, bob, context_of, now):
    me = context_of(bob)
    secret = database.write_now(access.issue_token, me, "bob", label="ci", now=now).secret.reveal()
    database.write_now(access.set_password, me, "bob", password_hash="new", now=now)
    assert database.read_now(rows.password_hash, bob) == "new"
    by_token = database.read_now(access.context_for_token, secret, now=now)
    with pytest.raises(PermissionDeniedError):
        database.write_now(access.set_password, by_token, "bob", password_hash="x", now=now)


def test_an_unknown_account_is_not_found(database, admin, now):
    with pytest.raises(NotFoundError, match="no account nobody"):
        database.write_now(access.set_roles, admin, "nobody", (Role.VIEWER,), now=now)


def test_every_act_on_accounts_and_tokens_stands_in_the_audit(database, admin, bob, context_of, now):
    me = context_of(bob)
    issued = database.write_now(access.issue_token, me, "bob", label="ci", now=now)
    database.write_now(access.revoke_token, me, issued.token.id, now=now)
    database.write_now(access.set_roles, admin, "bob", (Role.VIEWER,), now=now)
    database.write_now(access.set_password, admin, "bob", password_hash="x", now=now)
    database.write_now(access.close_account, admin, "bob", now=now)
    assert operations(database) == [
        ("account.create", "ana"),
        ("account.create", "bob"),
        ("session.open", "bob"),
        ("token.issue", "TOK-0001"),
        ("token.revoke", "TOK-0001"),
        ("account.roles", "bob"),
        ("account.password", "bob"),
        ("account.close", "bob"),
    ]
