"""Risk levels, ordered, with the one rule that moves a level up."""

from enum import StrEnum


class RiskLevel(StrEnum):
    """How much harm an action can do, from nothing to never automatic."""

    READ_ONLY = "READ_ONLY"
    LOW_RISK = "LOW_RISK"
    MEDIUM_RISK = "MEDIUM_RISK"
    HIGH_RISK = "HIGH_RISK"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for READ_ONLY to 4 for CRITICAL."""
        return list(RiskLevel).index(self)

    def raised(self, levels: int) -> "RiskLevel":
        """`levels` up, HIGH_RISK at most; READ_ONLY and CRITICAL stay what they are."""
        if self in {RiskLevel.READ_ONLY, RiskLevel.CRITICAL}:
            return self
        return list(RiskLevel)[min(self.rank + levels, RiskLevel.HIGH_RISK.rank)]
