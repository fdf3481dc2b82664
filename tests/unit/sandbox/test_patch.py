"""The four kinds of patch: their laws, their directives, and who owns what afterwards."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toban_sandbox.kube import patch
from toban_sandbox.kube.errors import ApiError
from toban_sandbox.kube.patch import json_patch, merge, ownership, schema, server_side, strategic

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("abc", max_size=2)
keys = st.text("abc", min_size=1, max_size=1)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(keys, values, max_size=3)
DEPLOYMENT = schema.of_kind("Deployment")
NOW = "2026-11-01T00:00:00Z"


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return value


# -- merge patch (RFC 7386) -------------------------------------------------------------------------------------------
@given(target=objects, change=objects)
def test_a_merge_patch_applied_twice_is_a_merge_patch_applied_once(target, change):
    once = merge.apply(target, change)
    assert merge.apply(once, change) == once


@given(target=values, change=values)
def test_a_merge_patch_that_is_no_object_replaces_everything(target, change):
    expected = without_nulls(change)
    if not isinstance(change, dict) or not isinstance(target, dict):
        assert merge.apply(target, change) == expected


@given(target=objects, change=objects)
def test_a_merge_patch_leaves_both_sides_as_they_were(target, change):
    before = copy.deepcopy((target, change))
    merge.apply(target, change)
    assert (target, change) == before


@given(target=objects)
def test_an_empty_merge_patch_changes_nothing(target):
    assert merge.apply(target, {}) == target


@pytest.mark.parametrize(
    ("target", "change", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_do_what_the_standard_shows(target, change, expected):
    assert merge.apply(target, change) == expected


# -- JSON patch (RFC 6902) --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "operations", "expected"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": {"b": 1}}, [{"op": "remove", "path": "/a/b"}], {"a": {}}),
        ({"a/b": 1, "~": 2}, [{"op": "replace", "path": "/a~1b", "value": 3}], {"a/b": 3, "~": 2}),
        ({"~1": 1}, [{"op": "remove", "path": "/~01"}], {}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
    ],
)
def test_json_patch_operations_do_what_the_standard_says(target, operations, expected):
    assert json_patch.apply(target, operations) == expected


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "remove", "path": "/nope"}],
        [{"op": "replace", "path": "/nope", "value": 1}],
        [{"op": "add", "path": "/list/7", "value": 1}],
        [{"op": "add", "path": "/list/01", "value": 1}],
        [{"op": "test", "path": "/number", "value": True}],
        [{"op": "add", "path": "/no/way", "value": 1}],
        [{"op": "move", "from": "/map", "path": "/map/inside"}],
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused_as_a_whole(operations):
    target = {"list": [1], "number": 1, "map": {}}
    with pytest.raises(ApiError) as refused:
        json_patch.apply(target, [{"op": "add", "path": "/first", "value": 1}, *operations])
    assert refused.value.code == 422
    assert refused.value.message == "the server rejected our request due to an error in our request"
    assert target == {"list": [1], "number": 1, "map": {}}


@pytest.mark.parametrize("body", [{}, [{"op": "increment", "path": "/a"}], ["add"]])
def test_a_body_that_is_no_json_patch_is_a_bad_request(body):
    with pytest.raises(ApiError) as refused:
        json_patch.apply({}, body)
    assert refused.value.code == 400


# -- strategic merge patch --------------------------------------------------------------------------------------------
def pod_template(*containers, **spec):
    return {"spec": {"template": {"spec": {"containers": list(containers), **spec}}}}


def containers(obj):
    return obj["spec"]["template"]["spec"]["containers"]


def test_containers_merge_by_name():
    live = pod_template({"name": "app", "image": "a:1"}, {"name": "side", "image": "s:1"})
    merged = strategic.apply(live, pod_template({"name": "side", "image": "s:2"}), DEPLOYMENT)
    assert {one["name"]: one["image"] for one in containers(merged)} == {"app": "a:1", "side": "s:2"}


def test_an_item_is_deleted_by_its_key():
    live = pod_template({"name": "app", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})
    change = pod_template({"name": "app", "env": [{"name": "A", "$patch": "delete"}]})
    assert containers(strategic.apply(live, change, DEPLOYMENT))[0]["env"] == [{"name": "B", "value": "2"}]


def test_a_list_is_replaced_on_request():
    live = pod_template({"name": "app", "env": [{"name": "A", "value": "1"}]})
    change = pod_template({"name": "app", "env": [{"$patch": "replace"}, {"name": "C", "value": "3"}]})
    assert containers(strategic.apply(live, change, DEPLOYMENT))[0]["env"] == [{"name": "C", "value": "3"}]


def test_a_map_is_replaced_on_request():
    live = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    change = {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}
    assert strategic.apply(live, change, DEPLOYMENT) == {"metadata": {"labels": {"c": "3"}}}


def test_the_element_order_is_set_around_what_the_server_added():
    live = pod_template({"name": "a"}, {"name": "injected"}, {"name": "b"})
    change = {
        "spec": {
            "template": {
                "spec": {
                    "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
                    "containers": [{"name": "new", "image": "n:1"}],
                }
            }
        }
    }
    names = [one["name"] for one in containers(strategic.apply(live, change, DEPLOYMENT))]
    assert names.index("b") < names.index("new") < names.index("a")
    assert sorted(names) == ["a", "b", "injected", "new"]


def test_only_the_order_of_a_list_can_be_changed():
    live = pod_template({"name": "a"}, {"name": "b"})
    order = {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}}}
    names = [one["name"] for one in containers(strategic.apply(live, order, DEPLOYMENT))]
    assert names == ["b", "a"]


def test_retain_keys_clears_the_other_members_of_a_union():
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic.apply(live, change, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_values_are_taken_out_of_a_primitive_list():
    live = {"metadata": {"finalizers": ["a", "b", "c"]}}
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"]}}
    merged = strategic.apply(live, change, DEPLOYMENT)
    assert sorted(merged["metadata"]["finalizers"]) == ["a", "c", "d"]


def test_lists_without_a_merge_key_are_replaced():
    live = pod_template({"name": "app", "command": ["a", "b"]})
    merged = strategic.apply(live, pod_template({"name": "app", "command": ["c"]}), DEPLOYMENT)
    assert containers(merged)[0]["command"] == ["c"]


def test_null_removes_a_field():
    live = pod_template({"name": "app", "resources": {"limits": {"memory": "1Gi"}}})
    change = pod_template({"name": "app", "resources": {"limits": None}})
    assert containers(strategic.apply(live, change, DEPLOYMENT))[0]["resources"] == {}


def test_an_item_without_its_merge_key_is_refused():
    with pytest.raises(ApiError) as refused:
        strategic.apply(pod_template({"name": "app"}), pod_template({"image": "a:2"}), DEPLOYMENT)
    assert "does not contain declared merge key: name" in refused.value.message


def test_a_patch_that_leaves_no_object_is_refused():
    with pytest.raises(ApiError):
        patch.apply_patch(patch.JSON_PATCH, {"a": 1}, [{"op": "replace", "path": "", "value": 3}], kind="ConfigMap")


@given(target=objects, change=objects)
def test_without_merge_keys_strategic_and_plain_merge_agree_up_to_nulls(target, change):
    plain = merge.apply(target, change)
    assert without_nulls(strategic.apply(target, change, schema.UNKNOWN)) == without_nulls(plain) or _has_null(change)


def _has_null(value):
    if isinstance(value, dict):
        return any(_has_null(one) for one in value.values())
    if isinstance(value, list):
        return any(_has_null(one) for one in value)
    return value is None


# -- server-side apply ------------------------------------------------------------------------------------------------
def manager(name="tool", operation=ownership.APPLY, subresource=""):
    return ownership.Manager(name, operation, "apps/v1", subresource)


def wanted(**spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def applied(live, obj, who=None, *, force=False):
    return server_side.apply(live, obj, who or manager(), force=force, time=NOW)


def owners(obj):
    return {entry.manager.name: entry.paths for entry in ownership.read(obj)}


def test_an_apply_owns_what_it_names_and_nothing_else():
    live = applied(None, wanted(replicas=3, paused=True))
    assert owners(live) == {"tool": {("f:spec", "f:replicas"), ("f:spec", "f:paused")}}


def test_a_field_of_somebody_else_is_a_conflict_in_kubernetes_words():
    live = applied(None, wanted(replicas=3))
    with pytest.raises(ApiError) as refused:
        applied(live, wanted(replicas=5), manager("other"))
    assert refused.value.code == 409
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "tool": .spec.replicas'
    assert refused.value.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "tool"', "field": ".spec.replicas"}
    ]


def test_force_takes_the_field_over():
    live = applied(None, wanted(replicas=3))
    taken = applied(live, wanted(replicas=5), manager("other"), force=True)
    assert taken["spec"]["replicas"] == 5
    assert owners(taken) == {"other": {("f:spec", "f:replicas")}}


def test_the_same_value_is_owned_together():
    live = applied(None, wanted(replicas=3))
    shared = applied(live, wanted(replicas=3), manager("other"))
    assert set(owners(shared)) == {"tool", "other"}


def test_what_an_apply_no_longer_names_goes_away():
    live = applied(None, wanted(replicas=3, paused=True))
    assert applied(live, wanted(replicas=3))["spec"] == {"replicas": 3}


def test_what_others_own_stays_when_an_apply_no_longer_names_it():
    live = applied(None, wanted(replicas=3, paused=True))
    live = applied(live, wanted(paused=True), manager("other"))
    assert applied(live, wanted(replicas=3))["spec"] == {"replicas": 3, "paused": True}


def test_list_items_are_owned_one_by_one():
    template = {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}
    side = {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}
    live = applied(None, wanted(template=template))
    both = applied(live, wanted(template=side), manager("other"))
    assert [one["name"] for one in both["spec"]["template"]["spec"]["containers"]] == ["app", "side"]
    alone = applied(both, wanted(), manager("other"))
    assert [one["name"] for one in alone["spec"]["template"]["spec"]["containers"]] == ["app"]


def test_an_update_takes_what_it_changes():
    live = applied(None, wanted(replicas=3))
    new = live | {"spec": {"replicas": 4}}
    scaled = server_side.record_update(live, new, manager("kubectl", ownership.UPDATE, "scale"), time=NOW)
    with pytest.raises(ApiError) as refused:
        applied(scaled, wanted(replicas=3))
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas'
    )


def test_several_conflicts_are_listed_by_manager():
    live = applied(None, wanted(replicas=3, paused=True))
    with pytest.raises(ApiError) as refused:
        applied(live, wanted(replicas=5, paused=False), manager("other"))
    assert refused.value.message == (
        'Apply failed with 2 conflicts: conflicts with "tool":\n- .spec.paused\n- .spec.replicas'
    )


small_specs = st.fixed_dictionaries(
    {}, optional={"replicas": st.integers(0, 3), "paused": st.booleans(), "minReadySeconds": st.integers(0, 2)}
)


@given(first=small_specs, second=small_specs)
def test_applying_the_same_again_changes_nothing(first, second):
    live = applied(applied(None, wanted(**first)), wanted(**second), manager("other"), force=True)
    assert applied(live, wanted(**second), manager("other"), force=True) == live


@given(first=small_specs, second=small_specs)
def test_after_an_apply_the_object_says_what_was_applied(first, second):
    live = applied(applied(None, wanted(**first)), wanted(**second), manager("other"), force=True)
    assert live["spec"].items() >= second.items()


@given(spec=small_specs)
def test_ownership_survives_being_written_and_read(spec):
    live = applied(None, wanted(**spec))
    assert ownership.write(ownership.read(live)) == live["metadata"]["managedFields"]
