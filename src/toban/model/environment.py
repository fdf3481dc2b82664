"""Environments: where a change would happen, and how careful one must be there."""

from enum import StrEnum


class Environment(StrEnum):
    """The three environments, strictly apart; what is not known counts as production."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"

    @classmethod
    def of(cls, label: str | None) -> "Environment":
        """The environment that a label names, usual short forms too; unknown or absent is PRODUCTION, the strictest."""
        known = {
            "dev": cls.DEVELOPMENT,
            "development": cls.DEVELOPMENT,
            "test": cls.DEVELOPMENT,
            "stage": cls.STAGING,
            "staging": cls.STAGING,
            "prod": cls.PRODUCTION,
            "production": cls.PRODUCTION,
        }
        return known.get((label or "").strip().lower(), cls.PRODUCTION)
