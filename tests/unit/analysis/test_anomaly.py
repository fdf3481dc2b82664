"""Deviations: found where a series shifts, never in noise or sameness, whatever the order of the points."""

import random

from hypothesis import given
from hypothesis import strategies as st

from toban.analysis import anomaly
from toban.analysis.anomaly import Floor

START = 10_000.0
STEP = 15.0


def series(values, *, end=START + 300):
    return [(end - STEP * (len(values) - 1 - index), value) for index, value in enumerate(values)]


def noise(level, width, count, seed):
    source = random.Random(seed)
    return [level + source.gauss(0, width) for _ in range(count)]


@given(st.floats(-1e6, 1e6), st.integers(20, 140))
def test_a_constant_series_never_deviates(level, count):
    assert anomaly.deviation(series([level] * count), start=START) is None


@given(st.integers(0, 10_000), st.floats(0.01, 50), st.floats(-100, 100))
def test_normal_noise_never_deviates_enough_to_count(seed, width, level):
    found = anomaly.deviation(series(noise(level, width, 120, seed)), start=START)

    assert found is None or found.score < 5.0


@given(st.integers(0, 10_000), st.sampled_from([-1, 1]), st.floats(12, 1000))
def test_a_lasting_shift_is_found_with_its_direction_and_onset(seed, side, size):
    before, after = noise(100, 1, 100, seed), noise(100 + side * size, 1, 10, seed + 1)
    points = series([*before, *after])

    found = anomaly.deviation(points, start=START + 180, floor=Floor(relative=0.0))

    assert found is not None
    assert found.direction == ("up" if side > 0 else "down")
    assert found.started_at == points[100][0]
    assert found.ended_at is None
    assert found.low < found.baseline < found.high
    assert abs(found.baseline - 100) < 1


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(seed, shuffler):
    points = series([*noise(10, 1, 60, seed), *noise(40, 1, 10, seed)])
    shuffled = list(points)
    shuffler.shuffle(shuffled)

    assert anomaly.deviation(points, start=START + 180) == anomaly.deviation(shuffled, start=START + 180)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=40))
def test_no_data_is_too_odd(points):
    found = anomaly.deviation(points, start=START)

    assert found is None or found.score >= 0


def test_too_little_before_the_start_gives_nothing():
    assert anomaly.deviation(series([1, 1, 1, 90, 90]), start=START + 255) is None


def test_nothing_after_the_start_gives_nothing():
    assert anomaly.deviation(series([1.0] * 50, end=START - 500), start=START) is None


def test_not_a_number_is_left_out():
    points = [*series([5.0] * 100), (START + 310, float("nan")), (START + 320, float("inf"))]

    assert anomaly.deviation(points, start=START) is None


def test_a_run_that_returned_to_normal_says_when_it_ended():
    points = series([1.0] * 100 + [9.0] * 5 + [1.0] * 4)

    found = anomaly.deviation(points, start=START + 180)

    assert found is not None
    assert found.now == 9.0
    assert (found.started_at, found.ended_at) == (points[100][0], points[105][0])


def test_one_point_alone_must_be_far_out():
    near, far = series([100.0] * 100 + [130.0]), series([100.0] * 100 + [150.0])

    assert anomaly.deviation(near, start=START) is None
    assert anomaly.deviation(far, start=START) is not None


def test_the_floor_keeps_tiny_changes_of_quiet_series_out():
    points = series([0.0] * 100 + [0.01] * 8)

    assert anomaly.deviation(points, start=START + 180, floor=Floor(absolute=0.003)) is None
    assert anomaly.deviation(points, start=START + 180, floor=Floor(absolute=0.002)) is not None


@given(st.integers(1, 2000), st.integers(1, 150))
def test_thinned_points_are_bounded_ordered_and_keep_the_peak(count, limit):
    points = [(float(at), 1.0) for at in range(count)]
    points[count // 2] = (float(count // 2), 50.0)

    thin = anomaly.thinned(points, limit, baseline=1.0)

    assert len(thin) <= limit
    assert thin == sorted(thin)
    assert [float(count // 2), 50.0] in thin
