"""The grammar of permissions and its laws: denials win, wildcards count only where they are written."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from toban.errors import InvalidInputError
from toban.model.security import Permission, allows

words = st.sampled_from(["pods", "deployments", "logs"])
verbs = st.sampled_from(["read", "patch", "delete"])
segments = st.sampled_from(["shop", "bank", "eu", "c1"])
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
patterns = st.lists(segments | st.just("*"), min_size=1, max_size=3).map("/".join)
needs = st.builds(lambda a, b, c: f"{a}.{b}:{c}", words, verbs, paths)
grants = st.builds(
    lambda deny, a, b, c: f"{'!' if deny else ''}{a}.{b}{f':{c}' if c else ''}",
    st.booleans(),
    words | st.just("*"),
    verbs | st.just("*"),
    st.none() | patterns,
)
allowing = grants.filter(lambda text: not text.startswith("!"))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("pods.read", Permission("pods", "read")),
        ("pods.read:shop", Permission("pods", "read", "shop")),
        ("!pods.delete:c1/shop", Permission("pods", "delete", "c1/shop", deny=True)),
        ("*.read:*", Permission("*", "read", "*")),
        ("approvals.vote:production", Permission("approvals", "vote", "production")),
        ("a.b:c1/*", Permission("a", "b", "c1/*")),
    ],
)
def test_what_is_well_formed_is_understood(text, parsed):
    assert Permission.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "", "pods", "pods.", ".read", "pods.read:", "pods.read:shop/", "pods.read:/shop", "pods.read:a//b", "Pods.read",
        "pods.read:sh*p", "pods.read:**", "pods.read:a b", "pods.read:a:b", "!!pods.read", "!*", "pods.read\n", "p*.read",
        " pods.read", "pods.read:shop\n",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidInputError, match="is not a permission"):
        Permission.parse(text)


@given(text=st.text(max_size=30))
def test_no_text_at_all_makes_the_parser_crash(text):
    try:
        Permission.parse(text)
    except InvalidInputError:
        return


@given(needed=needs)
def test_an_exact_grant_passes_and_no_grant_does_not(needed):
    assert allows([needed], needed)
    assert not allows([], needed)


@given(needed=needs, others=st.lists(allowing, max_size=4))
def test_a_denial_wins_whatever_else_is_granted(needed, others):
    assert not allows([*others, needed, f"!{needed}"], needed)
    assert not allows([*others, "*", f"!{needed}"], needed)


@given(needed=needs, others=st.lists(allowing, max_size=4))
def test_a_denial_without_a_scope_denies_everywhere(needed, others):
    assert not allows([*others, "*", "!" + needed.split(":")[0]], needed)


@given(needed=needs, held=st.lists(grants, max_size=5), more=allowing)
def test_another_grant_never_takes_anything_away(needed, held, more):
    assert not allows(held, needed) or allows([*held, more], needed)


@given(needed=needs, held=st.lists(grants, max_size=5), more=grants.filter(lambda text: text.startswith("!")))
def test_another_denial_never_gives_anything(needed, held, more):
    assert allows(held, needed) or not allows([*held, more], needed)


@given(needed=needs, held=st.permutations(["pods.read:*", "!pods.read:shop", "*.read:c1/*", "logs.read", "!logs.*"]))
def test_the_order_of_grants_says_nothing(needed, held):
    assert allows(held, needed) == allows(sorted(held), needed)


@given(resource=words, verb=verbs, scope=paths)
def test_a_grant_without_a_scope_is_not_all_namespaces(resource, verb, scope):
    assert not allows([f"{resource}.{verb}"], f"{resource}.{verb}:{scope}")
    assert allows([f"{resource}.{verb}"], f"{resource}.{verb}")


@given(resource=words, verb=verbs, scope=patterns)
def test_a_scoped_grant_is_enough_for_the_pre_check_and_not_for_the_action(resource, verb, scope):
    assert allows([f"{resource}.{verb}:{scope}"], f"{resource}.{verb}", scoped=False)
    assert not allows([f"{resource}.{verb}:{scope}"], f"{resource}.{verb}")


@given(scope=paths, pattern=patterns)
def test_a_star_stands_for_exactly_one_segment(scope, pattern):
    own, other = pattern.split("/"), scope.split("/")
    fits = len(own) == len(other) and all(a in {"*", b} for a, b in zip(own, other, strict=True))
    assert allows([f"pods.read:{pattern}"], f"pods.read:{scope}") is fits


@given(held=allowing, needed=needs)
def test_a_grant_says_nothing_about_other_resources_and_verbs(held, needed):
    own, wanted = Permission.parse(held), Permission.parse(needed)
    assume(own.resource not in {"*", wanted.resource} or own.verb not in {"*", wanted.verb})
    assert not allows([held], needed)


@given(needed=needs)
def test_the_bare_star_is_everything(needed):
    assert allows(["*"], needed)
    assert allows(["*"], needed.split(":")[0])


@pytest.mark.parametrize("needed", ["pods", "pods.read:", "pods.read:a:b"])
def test_a_question_that_is_not_well_formed_is_an_error_and_never_a_yes(needed):
    with pytest.raises(InvalidInputError):
        allows(["*"], needed)


def test_a_question_with_a_wildcard_meets_every_denial_it_could_run_into():
    assert not allows(["pods.delete:*", "!pods.delete:shop"], "pods.delete:*")
    assert allows(["pods.delete:*", "!pods.delete:shop"], "pods.delete:other")
    assert not allows(["*", "!pods.delete:shop"], "*")
