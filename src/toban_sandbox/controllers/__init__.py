"""The control loops of the simulated cluster, one controller a file; `Controllers` runs them all."""

import asyncio

from toban_sandbox.controllers import (
    deployment,
    endpointslice,
    event_expiry,
    garbage,
    loop,
    namespace,
    replicaset,
    scheduler,
)
from toban_sandbox.kube import store as stores


class Controllers:
    """Every controller of the cluster; make it before the first objects are stored, or at any time later."""

    def __init__(self, store: stores.ObjectStore) -> None:
        self.all: tuple[loop.Controller, ...] = (
            namespace.NamespaceController(store),
            scheduler.Scheduler(store),
            replicaset.ReplicaSetController(store),
            deployment.DeploymentController(store),
            endpointslice.EndpointSliceController(store),
            garbage.GarbageCollector(store),
            event_expiry.EventExpiry(store),
        )

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for controller in self.all:
                group.create_task(controller.run(), name=type(controller).__name__)
