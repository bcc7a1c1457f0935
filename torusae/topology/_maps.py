"""How a map of data to a space fits the data: its windings along circles, its tears, its stress."""

from collections.abc import Callable

import numpy as np

from torusae.metrics import geodesic_stress
from torusae.topology._graph import Graph
from torusae.topology.circles import _differences, smoothed

_FAR = 0.5  # share of the mean distance of shuffled points above which neighbours are torn apart
_NUM_SOURCES = 200  # points whose paths to each other are measured

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of rows of points, `(num,)`


def turns(angles: np.ndarray, circles: np.ndarray, graph: Graph) -> np.ndarray:
    """How often angles wind around circles, `(dim, num_circles)`: integers, but for edges along which angles jump.

    The differences of an angle along the edges of a graph are those of an integer combination of the circles' angles,
    and those of a function on the points. The latter are orthogonal to the differences of smoothed angles, so that the
    coefficients of least squares are the windings. No columns where the graph does not have the circles.

    Args:
        angles: Float array `(num, dim)`, radians.
        circles: Float array `(num, num_circles)`, radians, such as those of `find_circles`.
        graph: Of the scaled components of the data.
    """
    if circles.shape[1]:
        smooth, graph = smoothed(circles, graph)
        if smooth is not circles:
            return np.linalg.lstsq(_differences(smooth, graph), _differences(angles, graph), rcond=None)[0].T
    return np.zeros((angles.shape[1], 0))


def tears(points: np.ndarray, shuffled: np.ndarray, distance: Distance, graph: Graph) -> tuple[float, float]:
    """The share of edges whose points lie far apart in a space, and the same for the points in another order.

    Far is more than half the mean distance of shuffled points.
    """
    lengths, others = (distance(each[graph.start], each[graph.end]) for each in (points, shuffled))
    far = _FAR * others.mean()
    return float((lengths > far).mean()), float((others > far).mean())


def stress(
    points: np.ndarray, shuffled: np.ndarray, distance: Distance, graph: Graph, rng: np.random.Generator
) -> tuple[float, float]:
    """The stress of distances in a space against path lengths in a graph, and the same for the points in another order.

    Of all pairs of at most 200 random points.
    """
    rows = rng.permutation(len(points))[:_NUM_SOURCES]
    first, second = np.triu_indices(len(rows), 1)
    paths = graph.path_lengths(rows)[first, rows[second]]
    joined = graph.piece[rows[first]] == graph.piece[rows[second]]  # a graph can have several pieces
    first, second = rows[first[joined]], rows[second[joined]]
    lengths, others = (distance(each[first], each[second]) for each in (points, shuffled))
    return geodesic_stress(paths[joined], lengths), geodesic_stress(paths[joined], others)
