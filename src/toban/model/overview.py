"""The overview: a few numbers that tell a tired person how things stand."""

from toban.model.record import Record


class Overview(Record):
    """Counts of one workspace. `seq` is the newest timeline entry's, where a live list starts to listen."""

    alerts_received: int = 0
    incidents_open: int = 0
    incidents_total: int = 0
    approvals_open: int = 0
    seq: int = 0
