"""`torusae.topology`: circles found in data, and how two sets of angles correspond."""

import itertools
import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import torusae
from torusae import topology
from torusae.topology import alignment, circles

pytestmark = pytest.mark.host

PERMUTED = np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]])


def unimodular(rng, dim):
    """A random integer matrix of determinant ±1: a product of elementary ones."""
    matrix = np.eye(dim, dtype=int)[rng.permutation(dim)]
    for _ in range(dim if dim > 1 else 0):
        i, j = rng.choice(dim, 2, replace=False)
        matrix[i] += rng.choice([-1, 1]) * matrix[j]
    return matrix


def test_circles_of_a_table_are_found_with_their_angles():
    for dim in (1, 2):
        table, angles = torusae.datasets.torus_table(2000, dim=dim, noise=0.1, seed=3)
        found = torusae.find_circles(table, num_landmarks=300)
        assert found.num_circles == dim
        assert (torusae.align(found.angles, angles).scores > 0.98).all()
        assert f"{dim} circle" in str(found)


def test_a_circle_is_found_under_noise_in_many_columns(rng):
    # Scaled to the deviations of the circle, the noise of 200 columns would be far larger than it.
    angles = rng.uniform(0, 2 * np.pi, (2000, 1))
    table = 2 * np.cos(angles - rng.uniform(0, 2 * np.pi, 10)) @ rng.normal(size=(10, 200)) / np.sqrt(10)
    found = torusae.find_circles(table + rng.normal(size=table.shape), num_landmarks=300)
    assert found.num_circles == 1
    assert torusae.align(found.angles, angles).scores > 0.98


def test_outliers_hide_no_circle(rng):
    angles = rng.uniform(-np.pi, np.pi, (1200, 1))
    x = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) @ rng.normal(size=(2, 20))
    x += 0.1 * rng.normal(size=x.shape)
    far = rng.random(len(x)) < 0.03
    x[far] += 5 * rng.normal(size=(far.sum(), 20))
    found = torusae.find_circles(x, num_landmarks=200)
    assert found.num_circles == 1
    assert torusae.align(found.angles[~far], angles[~far]).scores > 0.95


def test_a_circle_whose_rows_crowd_on_one_side_is_found_and_an_arc_is_none(rng):
    map_ = rng.normal(size=(2, 20))
    for angles, num_circles in ((rng.vonmises(0, 1.5, (2000, 1)), 1), (rng.uniform(-2.8, 2.8, (2000, 1)), 0)):
        x = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) @ map_ + 0.1 * rng.normal(size=(2000, 20))
        found = torusae.find_circles(x, num_landmarks=300)
        assert found.num_circles == num_circles
        if num_circles:
            assert torusae.align(found.angles, angles).scores > 0.95


def test_a_small_circle_beside_a_large_one_is_no_noise():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (2000, 2))
    table = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * [1, 0.4, 1, 0.4]
    assert torusae.find_circles(table, num_landmarks=300).num_circles == 2


def test_what_looks_like_noise():
    def kept(*variance):
        variance = np.array(variance)
        return topology._graph._worth_keeping(variance, variance.sum(), len(variance)).sum()

    assert kept(9, 8, *[1] * 20) == 2
    assert kept(9, 8, *[1] * 7) == 9  # too few
    assert kept(*[1] * 20) == 20  # nothing is louder
    assert kept(9, *[1] * 20) == 21  # one number shows no circle
    assert kept(9, 8, *np.geomspace(4, 0.02, 20)) == 19  # falls smoothly: all but those below 0.5 %


def test_gaps_of_a_curve_without_noise_open_no_circle():
    # With 12 neighbours, two neighbouring points of these did not know each other: in a half, and in all rows.
    for seed, num in ((1, 3000), (2, 5000)):
        angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, (num, 1))
        found = torusae.find_circles(np.concatenate([np.cos(angles), np.sin(angles)], axis=1), num_landmarks=300)
        assert found.num_circles == 1
        assert torusae.align(found.angles, angles).scores > 0.99


def test_neither_place_nor_scale_of_data_nor_a_few_rows_hide_a_circle():
    table, angles = torusae.datasets.torus_table(600, dim=1, columns=10, noise=0.1, seed=0)
    table = table.astype("float64")
    expected = torusae.find_circles(table, num_landmarks=100)
    wild, more = table.copy(), np.concatenate([table, 1e4 * np.random.default_rng(0).normal(size=(20, 10))])
    wild[0, 3] = -1.7e308
    for x, left_out in (
        (table + 1e7, 0),
        (1e-300 * table, 0),
        (1.7e308 * (table / np.abs(table).max()), 0),
        ((1e37 * table).astype("float32"), 0),
        (1_000_000_000_000_000_000 + (1e6 * table).astype("int64"), 0),
        (wild, 1),
        (more, 20),
    ):
        found = torusae.find_circles(x, num_landmarks=100)
        assert found.num_circles == 1, x[:2]
        assert torusae.align(found.angles[:600], angles).scores > 0.98
        if not left_out:
            np.testing.assert_allclose(found.persistence[0], expected.persistence[0], rtol=0.05)
        else:
            assert f"{left_out} of {len(x)} rows lie far from the others and were left out." in found.notes


def test_noise_has_no_circle(rng):
    for columns in (2, 3, 20):
        found = torusae.find_circles(rng.normal(size=(1000, columns)), num_landmarks=300)
        assert found.num_circles == 0, str(found)
        assert found.angles.shape == (1000, 0)
        assert str(found).startswith("no circle in 1000 rows: the largest death over birth is ")
        assert str(found).endswith(" A circle needs 2.7.")


def test_why_lasting_classes_are_no_circles(rng):
    points = rng.uniform(-np.pi, np.pi, (300, 2))
    graph = topology._graph.Graph(np.concatenate([np.cos(points), np.sin(points)], axis=1))
    first, same, other = (
        circles._Half(np.arange(300), graph, angles, graph.points, np.zeros(0))
        for angles in (points, points + 1, rng.permutation(points))
    )
    assert circles._refusal([first, same], np.array([9.0, 3.0, 2.4]), 2) == ""
    assert (
        circles._refusal([first, same], np.array([9.0, 3.0, 2.6]), 2)
        == "3.0 is less than 1.2 times the next class, 2.6"
    )
    assert "two halves of the rows give other angles (they agree by 0." in circles._refusal(
        [first, other], np.array([9.0]), 1
    )


def test_an_ellipse_that_is_traversed_evenly_has_its_phase_as_angle():
    phase = np.linspace(-np.pi, np.pi, 400, endpoint=False)
    found = torusae.find_circles(np.stack([np.cos(phase), 0.5 * np.sin(phase)], axis=1))
    aligned = torusae.align(found.angles, phase[:, None])(found.angles)[:, 0]
    error = np.angle(np.exp(1j * (aligned - phase)))
    # The scaled components make the ellipse a circle up to the floor of 3 %: arcs then differ by a few hundredths.
    assert np.abs(error).max() < 0.1


def test_rows_outside_the_graph_take_the_angles_of_their_neighbours(monkeypatch):
    monkeypatch.setattr(circles._graph, "MAX_ROWS", 1000)
    table, angles = torusae.datasets.torus_table(2000, dim=1, noise=0.1, seed=0)
    found = torusae.find_circles(table, num_landmarks=200)
    assert found.num_rows == 1000
    assert found.angles.shape == (2000, 1)
    assert torusae.align(found.angles, angles).scores > 0.98


def test_a_lifted_cocycle_loses_multiples_of_another(rng):
    def antisymmetric(values):
        upper = np.triu(values, 1)
        return upper - upper.T

    small, other = (antisymmetric(rng.integers(-1, 2, (12, 12))) for _ in range(2))
    found, reduced = circles._lifted((small + 17 * other) % circles._PRIME, [other])
    assert np.abs(found).max() <= 2  # small, plus at most one other
    assert any(((factor * reduced - found) % circles._PRIME == 0).all() for factor in range(1, circles._PRIME))
    signs = itertools.product((-1, 1), (-1, 0, 1))
    assert any((found == sign * small + multiple * other).all() for sign, multiple in signs)


def test_angles_that_are_constant_nearly_everywhere_are_no_circle(rng):
    angles = np.where(rng.random((500, 1)) < 0.95, 0.0, rng.uniform(-np.pi, np.pi, (500, 1)))
    assert "one angle (|mean exp(iφ)| = 0.9" in circles._disagreement(angles, angles)
    spread = rng.uniform(-np.pi, np.pi, (500, 1))
    assert not circles._disagreement(spread, -spread + 1)
    assert "agree by 0.0" in circles._disagreement(spread, rng.permutation(spread))


def test_one_seed_gives_one_result():
    table, _ = torusae.datasets.torus_table(600, dim=1, seed=0)
    first, again = (torusae.find_circles(table, num_landmarks=200, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.angles, again.angles)


def test_potential_is_the_least_squares_solution(rng):
    num = 20
    start, end = np.nonzero(np.triu(rng.random((num, num)) < 0.4, 1))
    differences = rng.normal(size=len(start))
    incidence = np.zeros((len(start), num))
    incidence[np.arange(len(start)), end] = 1
    incidence[np.arange(len(start)), start] = -1
    expected = np.linalg.lstsq(incidence, differences, rcond=None)[0]
    both = np.concatenate([start, end]), np.concatenate([end, start]), np.concatenate([differences, -differences])
    potential = circles._potential(*both, num)
    np.testing.assert_allclose(incidence @ potential, incidence @ expected, atol=1e-4)


def test_align_inverts_a_change_of_basis(rng):
    for dim in (1, 2, 3, 5):
        truth = rng.uniform(-np.pi, np.pi, (800, dim))
        matrix = unimodular(rng, dim)
        while (
            np.abs(np.linalg.inv(matrix)).max() > 2
            or (np.count_nonzero(np.linalg.inv(matrix).round(), axis=1) > 2).any()
        ):
            matrix = unimodular(rng, dim)
        angles = truth @ matrix.T + rng.uniform(-3, 3, dim)
        found = torusae.align(angles, truth)
        np.testing.assert_array_equal(found.matrix @ matrix, np.eye(dim))
        np.testing.assert_allclose(found.scores, 1, atol=1e-6)
        np.testing.assert_allclose(np.exp(1j * found(angles)), np.exp(1j * truth), atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_orient_grows_with_time_from_the_peak(rng, sign):
    times = np.delete(np.arange(0, 200, 0.25), slice(300, 317))  # with a gap
    phase = 2 * np.pi * times / 9.7
    angles = sign * (phase + 0.5 * np.sin(phase)) + 2 + 0.05 * rng.normal(size=len(times))
    values = np.exp(2 * np.cos(phase - 1)) + 0.1 * rng.normal(size=len(times))
    turned = torusae.topology.orient(np.stack([angles, -angles], axis=1), times, peak=values)
    assert np.diag(turned.matrix).tolist() == [sign, -sign]
    assert (turned.scores > 0.9).all()
    at_peak = np.abs(np.angle(np.exp(1j * (phase - 1)))) < 0.05
    assert at_peak.sum() > 5
    for oriented in turned(np.stack([angles, -angles], axis=1)).T:
        assert np.abs(np.exp(1j * oriented[at_peak]).mean() - 1) < 0.1


def test_orient_of_unordered_rows_warns_and_keeps_the_sign(rng):
    angles = rng.uniform(-np.pi, np.pi, (300, 1))
    with pytest.warns(UserWarning, match="go back as often as forwards"):
        turned = torusae.topology.orient(angles, np.arange(300))
    assert turned.matrix.tolist() == [[1]]
    assert turned.shift.tolist() == [0]


def test_orient_says_what_is_wrong():
    angles = np.zeros((4, 1))
    with pytest.raises(ValueError, match=r"Received: 2 in row 1, then 1.*once for each series"):
        torusae.topology.orient(angles, [0, 2, 1, 3])
    with pytest.raises(ValueError, match=r"`peak` must have shape \(4,\) or \(4, 1\)"):
        torusae.topology.orient(angles, np.arange(4), peak=np.zeros(3))


def test_align_takes_no_multiple_and_no_repeated_row(rng):
    truth = rng.uniform(-np.pi, np.pi, (2000, 2))
    doubled = torusae.align(truth[:, :1], 2 * truth[:, :1])
    assert doubled.scores < 0.1  # (2) is no basis of the integers
    same = torusae.align(truth, np.repeat(truth[:, :1], 2, axis=1))
    assert abs(round(np.linalg.det(same.matrix))) == 1


def test_align_with_fewer_references(rng):
    truth = rng.uniform(-np.pi, np.pi, (500, 4))
    found = torusae.align(truth, -truth[:, 2:3] + 1)
    assert found.matrix.tolist() == [[0, 0, -1, 0]]
    np.testing.assert_allclose(found.shift, 1)


@given(
    st.integers(1, 3).flatmap(
        lambda m: st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=m, max_size=m)
    )
)
def test_part_of_a_basis_by_minors(rows):
    minors = [
        round(np.linalg.det(np.array(rows)[:, list(columns)]))
        for columns in itertools.combinations(range(3), len(rows))
    ]
    assert alignment.is_part_of_basis([np.array(row) for row in rows]) == (math.gcd(*minors) == 1)


def test_short_basis_is_the_shortest(rng):
    for dim in (2, 3):
        steps = rng.normal(size=(300, dim)) * np.linspace(1, 2, dim)
        skew = unimodular(rng, dim) @ unimodular(rng, dim)
        basis = torusae.topology.short_basis(steps @ skew.T)
        assert abs(round(np.linalg.det(basis))) == 1
        lengths = (steps @ skew.T @ basis.T).std(axis=0)
        rows = np.array([row for row in itertools.product(range(-3, 4), repeat=dim) if any(row)])
        shortest = np.sort((steps @ rows.T).std(axis=0))[0]
        np.testing.assert_allclose(lengths[0], shortest, rtol=1e-2)
        assert np.prod(lengths) < 1.2 * np.prod(steps.std(axis=0))


def test_bad_data_are_named(rng):
    x = rng.normal(size=(200, 3))
    for bad, error, message in [
        *((x[:num], ValueError, f"at least 60 rows. Received: x.shape=({num}, 3)") for num in (0, 1, 2, 5, 20, 59)),
        (x[:, 0], ValueError, "x.shape=(200,)"),
        (x[:, :0], ValueError, "x.shape=(200, 0)"),
        (np.where(np.arange(600).reshape(200, 3) == 22, np.inf, x), ValueError, "inf at position (7, 1)"),
        (np.where([True, False, False], np.inf, x), ValueError, "inf at position (0, 0), 200 such"),
        (np.ones((200, 3)), ValueError, "must vary. Received: 200 equal rows"),
        (np.full((200, 2), "a"), TypeError, "must be numbers. Received: dtype=<U1"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            torusae.find_circles(bad)
    with pytest.raises(ValueError, match="num_landmarks=300, 200 rows"):
        torusae.find_circles(x, num_landmarks=300)
    with pytest.raises(ValueError, match="at most as many columns"):
        torusae.align(x[:, :1], x[:, :2])
    with pytest.raises(ValueError, match=r"`reference` .*, for one column reference\[:, None\]"):
        torusae.align(x[:, :1], x[:, 0])
    assert torusae.align(x[:, :1], x[:, 0][:, None]).scores > 0.99


def test_few_different_rows_and_lines_show_no_circle(rng):
    x = rng.normal(size=(300, 3))
    for some, num in (
        (x[:, :1], 300),
        (x[:, :1] * [1, 2, 3], 300),
        *((x[np.arange(300) % num], num) for num in (2, 5, 6, 23, 40)),
    ):
        found = torusae.find_circles(some)
        assert (found.num_circles, found.num_rows) == (0, num)
        assert ("A circle needs 6 different rows." in found.notes) == (num < 6)
        assert ("a ring of so few places is no proof" in str(found)) == (num == 6)


def turning(angles):
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def test_rows_at_few_places_show_their_circle(rng):
    for places, noise in ((12, 0.0), (24, 0.0), (24, 0.02), (96, 0.02)):
        angles = 2 * np.pi * rng.integers(0, places, (800, 1)) / places
        x = turning(angles) @ rng.normal(size=(2, 8))
        found = torusae.find_circles(x + noise * rng.normal(size=x.shape), num_landmarks=200)
        assert found.num_circles == 1, str(found)
        assert torusae.align(found.angles, angles).scores > 0.98
        assert found.on_circle.all()


def test_circles_on_pieces_are_found_where_they_are(rng):
    angles = rng.uniform(-np.pi, np.pi, (1200, 1))
    far, small = np.array([4.0, 4, 0, 0]), rng.normal(size=(1200, 4)) * 0.1
    flat = np.pad(turning(angles), ((0, 0), (0, 2)))
    first = np.arange(1200) % 2 == 0
    for x, parts in (
        (np.where(first[:, None], flat, np.roll(flat, 2, axis=1) + far), (first, ~first)),  # two circles
        (np.where(first[:, None], flat, 2.2 * flat), (first, ~first)),  # a bullseye
        (np.where(first[:, None], flat, small), (first,)),  # rows at rest in the middle
        (np.where(first[:, None], flat, small + far), (first,)),  # and beside
    ):
        found = torusae.find_circles(x + 0.06 * rng.normal(size=x.shape), num_landmarks=200)
        assert found.num_circles == len(parts), str(found)
        for part in parts:
            assert (
                max(torusae.align(found.angles[part][:, [i]], angles[part]).scores[0] for i in range(len(parts))) > 0.95
            )
        np.testing.assert_array_equal(found.on_circle, np.any(parts, axis=0))


def test_a_circle_under_noise_is_found_among_means(rng):
    table, angles = torusae.datasets.torus_table(3000, dim=1, noise=1.3, seed=0)
    found = torusae.find_circles(table, num_landmarks=200)
    assert found.num_circles == 1, str(found)
    assert torusae.align(found.angles, angles).scores > 0.9
    assert any(note.startswith("Found ") for note in found.notes)


def test_few_rows_of_a_circle(rng):
    angles = rng.uniform(-np.pi, np.pi, (120, 1))
    found = torusae.find_circles(turning(angles) @ rng.normal(size=(2, 5)))
    assert found.num_circles == 1, str(found)
    assert torusae.align(found.angles, angles).scores > 0.95


def test_shuffled_columns_are_a_control(rng):
    angles = rng.uniform(-np.pi, np.pi, (200, 1))
    assert torusae.find_circles(turning(angles), surrogates=9).p_value == 0.1
    found = torusae.find_circles(rng.normal(size=(200, 3)), surrogates=9)
    assert found.p_value in np.arange(1, 11) / 10
    assert "Among 9 copies with shuffled columns, p = " in str(found)
    assert torusae.find_circles(rng.normal(size=(200, 3))).p_value is None


@pytest.mark.parametrize(("times", "said"), [(1, "1 time:"), (4, "4 times:"), (5, None), (60, None)])
def test_circles_that_ordered_rows_pass_seldom_are_noted(rng, times, said):
    turn = 2 * np.pi * np.linspace(0.02, times + 0.02, 3000, endpoint=False) + 0.1 * rng.standard_normal(3000)
    notes = circles._passed_seldom(np.stack([rng.permutation(turn), np.angle(np.exp(1j * turn))], axis=1))
    assert len(notes) == (said is not None)
    if said:
        assert f"pass circle 1 {said} a random walk makes such loops too" in notes[0]


def test_columns_and_rows_that_say_nothing_are_noted(rng):
    phase = rng.uniform(-np.pi, np.pi, 300)
    x = np.stack([np.cos(phase), np.sin(phase), np.ones(300)], axis=1)
    found = torusae.find_circles(np.concatenate([x, x[:20]]))
    assert "1 constant column(s) say nothing: 2." in str(found)
    assert "20 of 320 rows repeat others" in str(found)
    assert found.angles.shape == (320, 1)
    np.testing.assert_allclose(np.exp(1j * found.angles[:20]), np.exp(1j * found.angles[300:]), atol=1e-3)


def test_the_missing_extra_is_named(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "ripser", None)
    with pytest.raises(ImportError, match="pip install ripser scikit-learn"):
        torusae.find_circles(rng.normal(size=(200, 3)))
