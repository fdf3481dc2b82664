"""The control loops of the simulated cluster, one controller a file; `Controllers` runs them all."""

import asyncio

from toban_sandbox.controllers import (
    autoscaler,
    cronjob,
    daemonset,
    deployment,
    disruption,
    endpoints,
    endpointslice,
    event_expiry,
    garbage,
    job,
    loop,
    namespace,
    node_lifecycle,
    quota,
    replicaset,
    scheduler,
    statefulset,
    volumes,
)
from toban_sandbox.kube import store as stores


class Controllers:
    """Every controller of the cluster; make it before the first objects are stored, or at any time later.

    `usage_of` tells autoscalers what the containers of a pod use, as the kubelet does.
    """

    def __init__(self, store: stores.ObjectStore, *, usage_of: autoscaler.UsageOf | None = None) -> None:
        self.all: tuple[loop.Controller, ...] = (
            namespace.NamespaceController(store),
            scheduler.Scheduler(store),
            replicaset.ReplicaSetController(store),
            deployment.DeploymentController(store),
            statefulset.StatefulSetController(store),
            daemonset.DaemonSetController(store),
            job.JobController(store),
            cronjob.CronJobController(store),
            endpointslice.EndpointSliceController(store),
            endpoints.EndpointsController(store),
            volumes.VolumeController(store),
            quota.ResourceQuotaController(store),
            disruption.DisruptionController(store),
            node_lifecycle.NodeLifecycleController(store),
            node_lifecycle.TaintEvictionController(store),
            autoscaler.AutoscalerController(store, usage_of),
            garbage.GarbageCollector(store),
            event_expiry.EventExpiry(store),
        )

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for controller in self.all:
                group.create_task(controller.run(), name=type(controller).__name__)
