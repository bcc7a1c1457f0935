"""Windings, tears and stress of maps whose values are known, beside brute force."""

import itertools
import math

import numpy as np
import pytest

from torusae.topology import _graph, _maps

pytestmark = pytest.mark.host

TAU = 2 * math.pi


def flat_torus(angles):
    """Points of a torus without curvature, `(num, 2 * dim)`."""
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def arcs(a, b):
    """The distance of rows of angles."""
    return np.sqrt((np.abs(np.angle(np.exp(1j * (a - b)))) ** 2).sum(axis=1))


def grid(rng, side, dim):
    """Angles near the points of a grid: no gap is wide."""
    centres = np.array(list(itertools.product(np.arange(side) * TAU / side, repeat=dim)))
    return centres + rng.uniform(-0.2, 0.2, centres.shape) * TAU / side


def test_turns_are_the_integers_of_the_map(rng):
    for matrix in (
        [[1]],
        [[-1]],
        [[0]],
        [[2]],
        [[1, 0], [0, 1]],
        [[0, -1], [1, 1]],
        [[1, -1]],
        [[0, 0], [1, 0], [2, 1]],
    ):
        matrix = np.array(matrix)
        truth = grid(rng, 300 if matrix.shape[1] == 1 else 30, matrix.shape[1])
        points = flat_torus(truth)
        # Functions on the torus change no winding, however large, while neighbours stay within half a turn.
        moved = truth @ matrix.T + 1.5 * np.sin(truth[:, :1] + 0.3) + np.cos(truth[:, -1:])
        circles = truth + 0.5 * np.sin(truth)
        # The potential is found to 1e-6 of its size.
        np.testing.assert_allclose(_maps.turns(moved, circles, _graph.Graph(points)), matrix, atol=1e-4)
        assert _maps.turns(moved, circles[:, :0], _graph.Graph(points)).shape == (len(matrix), 0)


def test_turns_of_unrelated_angles_are_near_zero(rng):
    truth = grid(rng, 300, 1)
    turns = _maps.turns(rng.permutation(truth), truth, _graph.Graph(flat_torus(truth)))
    # The mean of uniform differences over the mean step: deviation π / sqrt(3) / sqrt(edges) over some 0.07 rad.
    assert 0.05 < np.abs(turns).max() < 4


def test_landmarks_are_farthest_from_those_before_them(rng):
    points = rng.normal(size=(40, 3))
    graph = _graph.Graph(points)
    for count, expected in ((1, 1), (7, 7), (40, 40), (60, 40)):
        landmarks = graph.landmarks(count, rng)
        assert len(landmarks) == len(set(landmarks)) == expected
        for index in range(1, expected):
            nearest = np.linalg.norm(points[:, None] - points[landmarks[:index]], axis=2).min(axis=1)
            assert landmarks[index] == nearest.argmax()


def test_circles_that_a_graph_does_not_have_are_left_out(rng):
    arc = np.sort(rng.uniform(-2.8, 2.8, (300, 1)), axis=0)
    assert _maps.turns(arc, arc, _graph.Graph(flat_torus(arc))).shape == (1, 0)
    # 12 neighbours do not close this circle, 20 do.
    truth = np.random.default_rng(2).uniform(0, TAU, (5000, 1))
    np.testing.assert_allclose(_maps.turns(-truth, truth, _graph.Graph(flat_torus(truth))), [[-1]], atol=1e-4)


def test_tears_and_stress_match_brute_force(rng):
    num, neighbors = 40, 12
    truth = rng.uniform(-math.pi, math.pi, (num, 2))
    angles = truth + rng.normal(size=(num, 2))
    shuffled = rng.permutation(angles)
    points = flat_torus(truth)
    lengths = np.array([[math.dist(a, b) for b in points] for a in points])
    paths = np.full((num, num), np.inf)
    for i in range(num):
        paths[i, i] = 0
        for j in sorted(range(num), key=lambda j: lengths[i, j])[1 : neighbors + 1]:
            paths[i, j] = paths[j, i] = lengths[i, j]
    edges = [(i, j) for i in range(num) for j in range(num) if i != j and paths[i, j] < np.inf]
    for k, i, j in itertools.product(range(num), repeat=3):  # Floyd and Warshall
        paths[i, j] = min(paths[i, j], paths[i, k] + paths[k, j])

    def distance(order, i, j):
        return math.sqrt(sum(min((a - b) % TAU, (b - a) % TAU) ** 2 for a, b in zip(order[i], order[j], strict=True)))

    graph = _graph.Graph(points)
    far = 0.5 * sum(distance(shuffled, i, j) for i, j in edges) / len(edges)
    expected = [sum(distance(order, i, j) > far for i, j in edges) / len(edges) for order in (angles, shuffled)]
    np.testing.assert_allclose(_maps.tears(angles, shuffled, arcs, graph), expected, rtol=1e-12)
    pairs = list(itertools.combinations(range(num), 2))
    kept = np.array([paths[i, j] for i, j in pairs])
    for order, stress in zip(
        (angles, shuffled), _maps.stress(angles, shuffled, arcs, graph, np.random.default_rng(0)), strict=True
    ):
        judged = np.array([distance(order, i, j) for i, j in pairs])
        difference = kept / kept.mean() - judged / judged.mean()
        assert stress == pytest.approx(math.sqrt((difference**2).sum() / ((kept / kept.mean()) ** 2).sum()), rel=1e-9)


def test_pairs_of_two_components_have_no_stress(rng):
    truth = np.sort(rng.uniform(-1, 1, (60, 1)), axis=0)
    points = np.concatenate([truth, truth + 100])
    angles = np.concatenate([truth, truth])  # the two lie upon each other, and each is kept
    stress = _maps.stress(angles, rng.permutation(angles), arcs, _graph.Graph(points), rng)
    assert stress[0] < 1e-9
    assert stress[1] > 0.5
