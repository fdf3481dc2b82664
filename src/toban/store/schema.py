"""The tables, for SQLite and PostgreSQL alike.

Times are ISO 8601 text in UTC; records are JSON beside the columns that are searched.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, *columns)


def _seq() -> sa.Column[int]:
    return sa.Column("seq", SEQ, primary_key=True, autoincrement=True)


def _text(name: str, **options: object) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=options.pop("nullable", False), **options)  # type: ignore[arg-type]


counter = _table("counter", _text("prefix", primary_key=True), sa.Column("value", SEQ, nullable=False))

journal = _table(
    "journal",
    _seq(),
    _text("workspace"),
    _text("source"),
    _text("received_at"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="new"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_journal_new", "seq", sqlite_where=sa.text("state = 'new'"), postgresql_where=sa.text("state = 'new'")),
)

dead_letter = _table(
    "dead_letter",
    _text("id", primary_key=True),
    sa.Column("journal_seq", SEQ, sa.ForeignKey("journal.seq"), nullable=False),
    _text("workspace"),
    _text("source"),
    _text("field"),
    _text("problem"),
    _text("created_at"),
    _text("replayed_at", nullable=True),
)

alert = _table(
    "alert",
    _text("id", primary_key=True),
    _text("workspace"),
    _text("source"),
    _text("fingerprint"),
    _text("started_at"),
    _text("state"),
    _text("service", nullable=True),
    _text("incident_id", nullable=True),
    _text("received_at"),
    sa.Column("record", sa.JSON, nullable=False),
    sa.UniqueConstraint("workspace", "source", "fingerprint", "started_at"),
    sa.Index("ix_alert_incident", "incident_id"),
    sa.Index("ix_alert_state", "workspace", "state"),
)

alert_event = _table(
    "alert_event",
    _seq(),
    _text("identity", unique=True),
    _text("alert_id"),
    _text("state"),
    _text("received_at"),
    sa.Column("deliveries", sa.Integer, nullable=False, server_default="1"),
)

incident = _table(
    "incident",
    _text("id", primary_key=True),
    _text("workspace"),
    _text("state"),
    _text("severity"),
    _text("service", nullable=True),
    _text("opened_at"),
    _text("last_alert_at"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
    sa.Index("ix_incident_open", "workspace", "state", "last_alert_at"),
)

timeline = _table(
    "timeline",
    _seq(),
    _text("workspace"),
    _text("incident_id"),
    _text("at"),
    _text("lane"),
    _text("kind"),
    _text("text"),
    _text("actor"),
    sa.Column("facts", sa.JSON, nullable=False),
    _text("once", nullable=True, unique=True),
    sa.Index("ix_timeline_incident", "incident_id", "seq"),
)

finding = _table(
    "finding",
    _text("incident_id", primary_key=True),
    _text("id", primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

diagnosis = _table(
    "diagnosis",
    _seq(),
    _text("incident_id"),
    _text("made_at"),
    sa.Column("record", sa.JSON, nullable=False),
    sa.Index("ix_diagnosis_incident", "incident_id", "seq"),
)

change = _table(
    "change",
    _text("id", primary_key=True),
    _text("workspace"),
    _text("incident_id"),
    _text("state"),
    _text("environment"),
    _text("created_at"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
    sa.Index("ix_change_incident", "incident_id"),
    sa.Index("ix_change_state", "workspace", "state"),
)

approval = _table(
    "approval",
    _text("change_id", primary_key=True),
    _text("voter", primary_key=True),
    _text("decision"),
    _text("digest"),
    _text("reason"),
    _text("auth_level"),
    _text("voted_at"),
)

verification = _table(
    "verification",
    _text("change_id", primary_key=True),
    _text("phase", primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

lease = _table(
    "lease",
    _text("target", primary_key=True),
    _text("change_id"),
    sa.Column("token", SEQ, nullable=False),
    _text("taken_at"),
    _text("until"),
)

lesson = _table(
    "lesson",
    _text("id", primary_key=True),
    _text("workspace"),
    _text("incident_id", unique=True),
    _text("cause"),
    _text("service", nullable=True),
    _text("written_at"),
    sa.Column("record", sa.JSON, nullable=False),
)

service = _table(
    "service",
    _text("workspace", primary_key=True),
    _text("name", primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

snapshot = _table(
    "snapshot",
    _text("digest", primary_key=True),
    _text("workspace", primary_key=True),
    _text("kind"),
    _text("namespace"),
    _text("name"),
    _text("first_seen_at"),
    _text("last_seen_at"),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Index("ix_snapshot_object", "workspace", "kind", "namespace", "name", "last_seen_at"),
)

audit = _table(
    "audit",
    sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
    _text("id", unique=True),
    _text("workspace"),
    _text("at"),
    _text("actor"),
    _text("operation"),
    _text("subject"),
    _text("result"),
    sa.Column("record", sa.JSON, nullable=False),
    _text("previous_hash"),
    _text("hash"),
    sa.Index("ix_audit_subject", "subject"),
)

user = _table(
    "user_account",
    _text("workspace", primary_key=True),
    _text("name", primary_key=True),
    _text("principal"),
    _text("password_hash", nullable=True),
    sa.Column("roles", sa.JSON, nullable=False),
    _text("created_at"),
    _text("disabled_at", nullable=True),
)

api_token = _table(
    "api_token",
    _text("id", primary_key=True),
    _text("hash", unique=True),
    _text("workspace"),
    _text("owner"),
    _text("label"),
    _text("created_at"),
    _text("expires_at"),
    _text("revoked_at", nullable=True),
)

session = _table(
    "session",
    _text("hash", primary_key=True),
    _text("workspace"),
    _text("owner"),
    _text("csrf"),
    _text("created_at"),
    _text("authenticated_at"),
    _text("expires_at"),
)

halt = _table(
    "halt",
    _text("scope", primary_key=True),
    _text("reason"),
    _text("by"),
    _text("at"),
    _text("release_by", nullable=True),
    _text("release_at", nullable=True),
)

worker = _table(
    "worker",
    _text("id", primary_key=True),
    _text("seen_at"),
)
