"""The lists that pages translate by: every code, cause and weight that exists is in them, with its facts."""

import re
from pathlib import Path

import pytest

import toban.analysis
from toban.analysis import codes, metrics
from toban.analysis.rootcause import candidates, statements, weights

SOURCES = [path.read_text() for path in sorted(Path(toban.analysis.__file__).parent.rglob("*.py"))]
RELATIONS = {"rollout", "configmap", "place", "time", "state"}


def test_every_code_that_an_analyzer_writes_is_listed():
    written = {found for text in SOURCES for found in re.findall(r'code="([a-z]+\.[a-z_0-9]+)"', text)}
    written |= {f"metric.{metric.name}" for metric in metrics.TABLE}

    assert written
    assert written <= set(codes.FINDINGS)


def test_every_cause_has_a_prior_facts_a_sentence_and_rows():
    causes = set(codes.CAUSES)

    assert causes == set(weights.PRIORS) == {row.cause for row in weights.TABLE}
    assert causes == set(statements._FACTS) == set(statements._SENTENCES)
    assert {cause for _, cause in candidates._SEEDS} <= causes


@pytest.mark.parametrize("row", weights.TABLE, ids=lambda row: f"{row.cause}-{row.observation}")
def test_every_row_of_the_weights_is_about_something_that_can_be_observed(row):
    relation, colon, name = row.observation.partition(":")

    assert row.weight != 0
    assert row.why
    if colon:
        assert relation in RELATIONS
        assert any(f'"{row.observation}"' in text or f'"{name}"' in text for text in SOURCES)
    else:
        assert row.observation in codes.FINDINGS


def test_no_two_rows_say_the_same():
    assert len(weights.BY_KEY) == len(weights.TABLE)
