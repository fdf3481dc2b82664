"""The object store: counters, locking, replay and the order in which changes are told."""

import pytest

from toban_sandbox.clock import Clock
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.errors import ApiError


@pytest.fixture
def store():
    return stores.ObjectStore(Clock(speed=0), seed=3)


def configmap(name="settings", **data):
    return {"metadata": {"name": name, "namespace": "shop"}, "data": data}


def deployment(replicas=1):
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "nginx:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


def test_a_new_object_gets_identity_version_and_birth(store):
    created = store.create("configmaps", configmap(a="1"))
    meta = created["metadata"]
    assert meta["uid"]
    assert meta["creationTimestamp"]
    assert int(meta["resourceVersion"]) == store.revision
    assert (created["apiVersion"], created["kind"]) == ("v1", "ConfigMap")


def test_a_second_object_of_the_same_name_is_refused(store):
    store.create("configmaps", configmap())
    with pytest.raises(ApiError) as refused:
        store.create("configmaps", configmap())
    assert refused.value.code == 409
    assert refused.value.message == 'configmaps "settings" already exists'


def test_a_generated_name_is_the_same_for_the_same_seed():
    names = []
    for _ in range(2):
        store = stores.ObjectStore(Clock(speed=0), seed=11)
        created = store.create("configmaps", {"metadata": {"generateName": "job-", "namespace": "shop"}})
        names.append(created["metadata"]["name"])
    assert names[0] == names[1]
    assert names[0].startswith("job-")
    assert len(names[0]) == len("job-") + 5


def test_an_update_with_an_old_version_is_refused_in_kubernetes_words(store):
    first = store.create("configmaps", configmap(a="1"))
    store.update("configmaps", first | {"data": {"a": "2"}})
    with pytest.raises(ApiError) as refused:
        store.update("configmaps", first | {"data": {"a": "3"}})
    assert refused.value.code == 409
    assert refused.value.message == (
        'Operation cannot be fulfilled on configmaps "settings": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_an_update_that_changes_nothing_stores_nothing(store):
    first = store.create("configmaps", configmap(a="1"))
    seen = []
    store.subscribe(lambda *change: seen.append(change))
    assert store.update("configmaps", configmap(a="1")) is first
    assert seen == []


def test_generation_counts_specification_changes_only(store):
    first = store.create("deployments", deployment())
    assert first["metadata"]["generation"] == 1
    labelled = store.update("deployments", first | {"metadata": first["metadata"] | {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 1
    scaled = store.update("deployments", labelled | {"spec": labelled["spec"] | {"replicas": 2}})
    assert scaled["metadata"]["generation"] == 2
    reported = store.update("deployments", scaled | {"status": {"replicas": 2}}, subresource="status")
    assert reported["metadata"]["generation"] == 2


def test_status_and_specification_are_written_apart(store):
    first = store.create("deployments", deployment())
    reported = store.update(
        "deployments", first | {"status": {"replicas": 1}, "spec": {"replicas": 9}}, subresource="status"
    )
    assert reported["spec"]["replicas"] == 1
    assert reported["status"] == {"replicas": 1}
    scaled = store.update("deployments", reported | {"spec": reported["spec"] | {"replicas": 4}, "status": {}})
    assert scaled["status"] == {"replicas": 1}


def test_what_was_handed_out_never_changes_afterwards(store):
    first = store.create("configmaps", configmap(a="1"))
    given = configmap(a="2")
    second = store.update("configmaps", given)
    given["data"]["a"] = "spoiled"
    assert first["data"] == {"a": "1"}
    assert second["data"] == {"a": "2"}


async def test_a_watch_replays_what_it_missed_and_goes_on(store):
    first = store.create("configmaps", configmap(a="1"))
    store.update("configmaps", configmap(a="2"))
    watch = store.watch("configmaps", int(first["metadata"]["resourceVersion"]))
    store.delete("configmaps", "shop", "settings")
    seen = [(await watch.next(1)).type for _ in range(2)]
    assert seen == [stores.MODIFIED, stores.DELETED]
    assert await watch.next(0) is None


def test_a_watch_from_before_the_log_begins_is_refused(store):
    old = store.create("configmaps", configmap(a="1"))
    store.create("configmaps", configmap("other"))
    store.compact()
    with pytest.raises(ApiError) as refused:
        store.watch("configmaps", int(old["metadata"]["resourceVersion"]))
    assert refused.value.code == 410
    assert refused.value.reason == "Expired"


def test_the_log_forgets_the_oldest_changes_first(store):
    first = store.create("configmaps", configmap(n="-1"))
    since = int(first["metadata"]["resourceVersion"])
    for number in range(stores.LOG_LENGTH):
        store.update("configmaps", configmap(n=str(number)))
    with pytest.raises(ApiError):
        store.watch("configmaps", since - 1)
    store.watch("configmaps", since)


async def test_a_watcher_that_falls_far_behind_is_told_so(store):
    watch = store.watch("configmaps")
    for number in range(stores.WATCH_BACKLOG + 1):
        store.create("configmaps", configmap(f"c{number}"))
    for _ in range(stores.WATCH_BACKLOG):
        assert (await watch.next(0)).type == stores.ADDED
    with pytest.raises(ApiError) as refused:
        await watch.next(0)
    assert refused.value.code == 410


def test_listeners_that_write_do_not_change_the_order_for_others(store):
    seen = []

    def reacts(event, resource, obj):
        if event == stores.ADDED and obj["metadata"]["name"] == "first":
            store.create("configmaps", configmap("second"))

    store.subscribe(reacts)
    store.subscribe(lambda event, resource, obj: seen.append(obj["metadata"]["name"]))
    store.create("configmaps", configmap("first"))
    assert seen == ["first", "second"]


def test_a_broken_listener_does_not_fail_the_writer(store, caplog):
    def breaks(event, resource, obj):
        raise RuntimeError("broken listener")

    store.subscribe(breaks)
    assert store.create("configmaps", configmap())["metadata"]["name"] == "settings"
    assert "broken listener" in caplog.text


def test_an_object_with_finalizers_goes_when_the_last_one_is_taken(store):
    held = configmap()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    created = store.create("configmaps", held)
    marked = store.mark_deleting("configmaps", created, grace_s=0)
    assert store.get("configmaps", "shop", "settings") is marked
    freed = marked | {"metadata": marked["metadata"] | {"finalizers": []}}
    store.update("configmaps", freed)
    assert store.get("configmaps", "shop", "settings") is None


def test_every_service_gets_an_address_of_its_own_that_its_name_decides():
    found = []
    for _ in range(2):
        store = stores.ObjectStore(Clock(speed=0))
        for name in ("web", "cart"):
            store.create(
                "services", {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}
            )
        found.append([one["spec"]["clusterIP"] for one in store.list("services")])
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


def test_secrets_are_kept_encoded_whatever_way_they_came(store):
    made = store.create(
        "secrets", {"metadata": {"name": "s", "namespace": "shop"}, "stringData": {"password": "hunter2"}}
    )
    assert made["data"] == {"password": "aHVudGVyMg=="}
    assert "stringData" not in made
    assert made["type"] == "Opaque"
