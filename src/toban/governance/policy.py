"""The risk table as data: how risky a step is, and what a risk needs in an environment.

The Gate assesses, planning decides, the Gate looks again at dispatch: `Policy.version` is part of what is approved. A
configuration can make a cell stricter, never weaker. Nothing here counts votes, reads a calendar or knows an action.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NotRequired, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, Field

from toban.errors import ConfigurationError
from toban.kit import canonical
from toban.model.environment import Environment
from toban.model.record import Record
from toban.model.risk import RiskLevel

PROTECTED_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "toban")
_FOUR_HOURS_S = 4 * 3600
_LARGE_SHARE = 0.25


class Autonomy(StrEnum):
    """How far Toban goes by itself in an environment; each level includes those before it."""

    OBSERVE = "OBSERVE"
    SUGGEST = "SUGGEST"
    APPROVE = "APPROVE"
    AUTO_LIMITED = "AUTO_LIMITED"

    def lowered(self) -> "Autonomy":
        """One level less, for after a failed verification; OBSERVE stays."""
        levels = list(Autonomy)
        return levels[max(levels.index(self) - 1, 0)]


class Outcome(StrEnum):
    """What may become of a step or a change."""

    AUTO = "AUTO"
    APPROVALS = "APPROVALS"
    MANUAL = "MANUAL"
    SUGGEST_ONLY = "SUGGEST_ONLY"
    OBSERVE_ONLY = "OBSERVE_ONLY"


class Rule(Record):
    """What one cell of the table asks for. `manual` means: never run by Toban, a person follows a checked procedure."""

    approvals: int = 0
    needs_window: bool = False
    fresh_sign_in: bool = False
    manual: bool = False
    approve_within_s: int = _FOUR_HOURS_S

    @property
    def automatic(self) -> bool:
        """Whether it runs without anybody's approval."""
        return self.approvals == 0 and not self.manual

    def missing(self, other: "Rule") -> list[str]:
        """What `other` asks for and this rule does not, in words; empty when this rule is as strict."""
        if self.manual:
            return []
        flags = [name for name in ("needs_window", "fresh_sign_in", "manual") if getattr(other, name)]
        told = [f"{name} cannot be switched off" for name in flags if not getattr(self, name)]
        if self.approvals < other.approvals:
            told.append(f"approvals {self.approvals} is less than {other.approvals}")
        if self.approve_within_s > other.approve_within_s:
            told.append(f"approve_within_s {self.approve_within_s} is more than {other.approve_within_s}")
        return told

    def joined(self, other: "Rule") -> "Rule":
        """A rule as strict as both."""
        if self.manual or other.manual:
            return Rule(manual=True)
        return Rule(
            approvals=max(self.approvals, other.approvals),
            needs_window=self.needs_window or other.needs_window,
            fresh_sign_in=self.fresh_sign_in or other.fresh_sign_in,
            approve_within_s=min(self.approve_within_s, other.approve_within_s),
        )


class PolicyDecision(Record):
    """What the policy says of one risk in one environment, with its reasons in words."""

    outcome: Outcome
    approvals: int = 0
    rule: Rule
    reasons: tuple[str, ...] = ()


class Row(Record):
    """The environments' cells for one risk level."""

    risk: RiskLevel
    development: Rule
    staging: Rule
    production: Rule

    def at(self, environment: Environment) -> Rule:
        """The cell of `environment`."""
        return {
            Environment.DEVELOPMENT: self.development,
            Environment.STAGING: self.staging,
            Environment.PRODUCTION: self.production,
        }[environment]


_AUTO, _ONE, _TWO = Rule(), Rule(approvals=1), Rule(approvals=2)
_HIGH = Rule(approvals=2, approve_within_s=1800)
_HIGH_PRODUCTION = Rule(approvals=2, approve_within_s=1800, needs_window=True, fresh_sign_in=True)
_NEVER = Rule(manual=True)

TABLE = (
    Row(risk=RiskLevel.READ_ONLY, development=_AUTO, staging=_AUTO, production=_AUTO),
    Row(risk=RiskLevel.LOW_RISK, development=_AUTO, staging=_ONE, production=_TWO),
    Row(risk=RiskLevel.MEDIUM_RISK, development=_ONE, staging=_ONE, production=_TWO),
    Row(risk=RiskLevel.HIGH_RISK, development=_HIGH, staging=_HIGH, production=_HIGH_PRODUCTION),
    Row(risk=RiskLevel.CRITICAL, development=_NEVER, staging=_NEVER, production=_NEVER),
)


class EnvironmentAutonomy(Record):
    """The level of autonomy in each environment."""

    development: Autonomy = Autonomy.AUTO_LIMITED
    staging: Autonomy = Autonomy.APPROVE
    production: Autonomy = Autonomy.APPROVE


class Policy(Record):
    """The whole policy of a workspace. Two policies that say the same have the same `version`."""

    table: tuple[Row, ...] = TABLE
    autonomy: EnvironmentAutonomy = EnvironmentAutonomy()
    protected_namespaces: tuple[str, ...] = PROTECTED_NAMESPACES

    @property
    def version(self) -> str:
        """SHA-256 of the content; it stands in each change's digest."""
        return canonical.digest(self)

    def rule(self, risk: RiskLevel, environment: Environment) -> Rule:
        """The cell for `risk` in `environment`; a level without a row is never run."""
        return next((row.at(environment) for row in self.table if row.risk is risk), _NEVER)

    def autonomy_in(self, environment: Environment) -> Autonomy:
        """The configured autonomy in `environment`."""
        level: Autonomy = getattr(self.autonomy, environment.value)
        return level

    def decide(self, risk: RiskLevel, environment: Environment, autonomy: Autonomy | None = None) -> PolicyDecision:
        """What may become of something of this risk; without `autonomy` the configured one counts."""
        rule = self.rule(risk, environment)
        level = autonomy or self.autonomy_in(environment)
        place = f"{risk} in {environment}"
        if risk is RiskLevel.READ_ONLY and rule.automatic:
            return PolicyDecision(outcome=Outcome.AUTO, rule=rule, reasons=(f"{place} runs by itself",))
        if level is Autonomy.OBSERVE:
            told = f"autonomy in {environment} is OBSERVE: diagnoses only"
            return PolicyDecision(outcome=Outcome.OBSERVE_ONLY, rule=rule, reasons=(told,))
        if rule.manual:
            told = f"{place} is never run: it is a procedure for people"
            return PolicyDecision(outcome=Outcome.MANUAL, rule=rule, reasons=(told,))
        if level is Autonomy.SUGGEST:
            told = f"autonomy in {environment} is SUGGEST: people run the plan"
            return PolicyDecision(outcome=Outcome.SUGGEST_ONLY, rule=rule, reasons=(told,))
        if rule.automatic and level is Autonomy.AUTO_LIMITED:
            return PolicyDecision(outcome=Outcome.AUTO, rule=rule, reasons=(f"{place} runs by itself",))
        count = max(rule.approvals, 1)
        reasons = [f"{place} needs {count} approval{'s' if count > 1 else ''}"]
        if rule.automatic:
            reasons.append(f"autonomy in {environment} is APPROVE: every change needs one approval at least")
        return PolicyDecision(outcome=Outcome.APPROVALS, approvals=count, rule=rule, reasons=tuple(reasons))


# --- how risky -------------------------------------------------------------------------------------------------------


class Circumstances(TypedDict):
    """What raises a step's risk. Counts of replicas; an unknown `total` is 0."""

    targets: int
    touched: int
    total: int
    namespace: str
    dry_run_possible: bool
    changed_recently: bool
    last_replica_to_zero: bool
    environment: Environment
    protected: NotRequired[Iterable[str]]
    advised: NotRequired[RiskLevel | None]


def assess(base: RiskLevel, **found: Unpack[Circumstances]) -> tuple[RiskLevel, tuple[str, ...]]:
    """The effective risk and why: one level up, HIGH_RISK at most, for each circumstance.

    `protected` are the policy's namespaces. `advised` is a model's opinion, which may only raise the result.
    """
    if found["last_replica_to_zero"] and found["environment"] is Environment.PRODUCTION:
        return RiskLevel.CRITICAL, ("it scales the last replica in production to 0",)
    reasons = [reason for holds, reason in _raising(found) if holds] if base is not RiskLevel.READ_ONLY else []
    risk = base.raised(len(reasons))
    advised = found.get("advised")
    if advised is not None and advised.rank > risk.rank:
        risk = advised
        reasons.append("the language model rates it higher")
    return risk, tuple(reasons)


def _raising(found: Circumstances) -> list[tuple[bool, str]]:
    touched, total, namespace = found["touched"], found["total"], found["namespace"]
    unknown = touched > total
    share = f"{touched} of {total} replicas" if not unknown else "an unknown share of the replicas"
    return [
        (found["targets"] > 1, f"it has {found['targets']} targets"),
        (unknown or touched > total * _LARGE_SHARE, f"it touches {share}"),
        (namespace in set(found.get("protected", PROTECTED_NAMESPACES)), f"{namespace} is a protected namespace"),
        (not found["dry_run_possible"], "no dry-run is possible"),
        (found["changed_recently"], "the same target was changed within 30 minutes"),
    ]


def highest(levels: Iterable[RiskLevel]) -> RiskLevel:
    """The highest of `levels`; READ_ONLY when there is none."""
    return max(levels, key=lambda level: level.rank, default=RiskLevel.READ_ONLY)


# --- configuration ---------------------------------------------------------------------------------------------------


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CellSettings(_Group):
    """What a workspace asks for beyond a cell of the built-in table."""

    approvals: int | None = Field(None, ge=0, le=10, description="approvals of distinct people")
    needs_window: bool | None = Field(None, description="only in an open change window")
    fresh_sign_in: bool | None = Field(None, description="voters signed in just now")
    manual: bool | None = Field(None, description="never run by Toban")
    approve_within_s: int | None = Field(None, ge=60, description="time to collect the approvals")


class PolicySettings(_Group):
    """A workspace's own rules: stricter cells, autonomy per environment, more protected namespaces."""

    cells: dict[Environment, dict[RiskLevel, CellSettings]] = Field(
        {}, description="environment → risk level → what a cell asks for, stricter than built in"
    )
    autonomy: dict[Environment, Autonomy] = Field(
        {}, description="environment → OBSERVE, SUGGEST, APPROVE or AUTO_LIMITED"
    )
    protected_namespaces: tuple[str, ...] = Field((), description="namespaces protected beside the built-in ones")


def load(settings: PolicySettings) -> Policy:
    """The policy with a workspace's own rules. Raises ConfigurationError naming each cell that would become weaker.

    A higher risk is never treated more lightly than a lower one: a stricter cell lifts those below it in the table.
    """
    problems: list[str] = []
    table: list[Row] = []
    floor: dict[Environment, Rule] = {}
    for row in TABLE:
        cells: dict[str, Rule] = {}
        for environment in Environment:
            rule = _stricter(settings.cells, environment, row, problems)
            if row.risk is not RiskLevel.READ_ONLY:
                rule = floor[environment] = rule.joined(floor.get(environment, rule))
            cells[environment.value] = rule
        table.append(Row(risk=row.risk, **cells))
    if problems:
        raise ConfigurationError(problems)
    return Policy(
        table=tuple(table),
        autonomy=EnvironmentAutonomy.model_validate({key.value: level for key, level in settings.autonomy.items()}),
        protected_namespaces=tuple(dict.fromkeys((*PROTECTED_NAMESPACES, *settings.protected_namespaces))),
    )


def _stricter(
    cells: Mapping[Environment, Mapping[RiskLevel, CellSettings]],
    environment: Environment,
    row: Row,
    problems: list[str],
) -> Rule:
    built_in = row.at(environment)
    own = cells.get(environment, {}).get(row.risk)
    if own is None:
        return built_in
    rule = built_in.model_copy(update=own.model_dump(exclude_none=True))
    where = f"policy.cells.{environment}.{row.risk}"
    problems.extend(f"{where}: weaker than the built-in rule: {told}" for told in rule.missing(built_in))
    return rule
