"""Services as learnt, and snapshots of configuration objects as last seen healthy."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from toban.kit import canonical
from toban.model.service import ObjectRef, Service
from toban.store import rows, schema

_S = schema.service
_P = schema.snapshot


def save(connection: sa.Connection, services: Sequence[Service]) -> None:
    """Insert or replace services by name."""
    for service in services:
        key = (_S.c.workspace == service.workspace, _S.c.name == service.name)
        record = rows.json_of(service)
        if connection.execute(sa.update(_S).where(*key).values(record=record)).rowcount == 0:
            connection.execute(sa.insert(_S).values(workspace=service.workspace, name=service.name, record=record))


def all_of(connection: sa.Connection, workspace: str) -> dict[str, Service]:
    """All services of a workspace by name."""
    found = connection.execute(sa.select(_S.c.record).where(_S.c.workspace == workspace).order_by(_S.c.name)).scalars()
    return {service.name: service for service in (rows.record_of(Service, record) for record in found)}


def save_snapshot(
    connection: sa.Connection, workspace: str, ref: ObjectRef, content: dict[str, Any], now: datetime
) -> str:
    """Remember an object's content as seen now; its digest. Content seen before is only touched."""
    digest = canonical.digest([ref, content])
    key = (_P.c.digest == digest, _P.c.workspace == workspace)
    if connection.execute(sa.update(_P).where(*key).values(last_seen_at=rows.time_text(now))).rowcount == 0:
        connection.execute(
            sa.insert(_P).values(
                digest=digest,
                workspace=workspace,
                kind=ref.kind,
                namespace=ref.namespace,
                name=ref.name,
                first_seen_at=rows.time_text(now),
                last_seen_at=rows.time_text(now),
                content=content,
            )
        )
    return digest


def latest_snapshot(
    connection: sa.Connection, workspace: str, ref: ObjectRef
) -> tuple[str, datetime, dict[str, Any]] | None:
    """Digest, time and content of an object as seen last; None if it was never seen."""
    row = connection.execute(
        sa.select(_P)
        .where(
            _P.c.workspace == workspace,
            _P.c.kind == ref.kind,
            _P.c.namespace == ref.namespace,
            _P.c.name == ref.name,
        )
        .order_by(_P.c.last_seen_at.desc())
        .limit(1)
    ).one_or_none()
    return (row.digest, datetime.fromisoformat(row.last_seen_at), row.content) if row else None
