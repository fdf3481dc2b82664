"""The overview: how many alerts became how many incidents, and what waits for people."""

from toban.model.record import Record


class Overview(Record):
    """Counts of one workspace."""

    alerts_received: int
    incidents_open: int
    incidents_total: int
    approvals_open: int
