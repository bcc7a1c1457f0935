"""The figure of a diagnosis, for spaces that only draw themselves."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from shared.figures import legend_texts, render, tick_texts

from torusae import plots


@dataclasses.dataclass
class Statistic:
    value: object
    chance: object
    unit: str = ""


class Plane:
    """A space of one's own: its points have a size and are drawn, and it has a name, and no more."""

    point_size = 2

    def __repr__(self):
        return "Plane()"


@plots.draw_points.register
def _(space: Plane, axes, points):
    axes.plot(*points.T, ".", gid="of the space")


def diagnosis(statistics, problems=(), num=10):
    found = tuple(SimpleNamespace(name=name) for name in problems)
    return SimpleNamespace(problems=found, statistics=statistics, points=np.ones((num, 2)), space=Plane())


def marks(axes):
    """Positions and heights of the marks of chance."""
    (lines,) = axes.collections
    return [(segment[:, 0].mean(), segment[0, 1]) for segment in lines.get_segments()]


def test_every_statistic_stands_beside_chance():
    statistics = {"kuiper": Statistic(np.array([0.2, 0.5, 0.1]), 0.05), "gap": Statistic(0.7, 0.1, "rad")}
    figure = render(plots.plot_diagnosis(diagnosis(statistics)))
    picture, kuiper, gap = figure.axes
    assert [line.get_gid() for line in picture.lines] == ["of the space"]
    assert [bar.get_height() for bar in kuiper.patches] == [0.2, 0.5, 0.1]
    assert marks(kuiper) == [(0, 0.05), (1, 0.05), (2, 0.05)]
    assert tick_texts(kuiper.xaxis) == ["0", "1", "2"]
    assert (kuiper.get_xlabel(), kuiper.get_ylabel()) == ("coordinate", "kuiper")
    assert [bar.get_height() for bar in gap.patches] == [0.7]
    assert (gap.get_xlabel(), gap.get_ylabel()) == ("all coordinates", "gap (rad)")
    assert legend_texts(figure) == ["measured", "chance: independent points"]
    assert figure.get_suptitle() == "10 points of Plane(): nothing wrong found"


def test_chance_of_each_coordinate():
    figure = plots.plot_diagnosis(diagnosis({"mean": Statistic([0.2, 0.5], [0.1, -0.1])}))
    assert marks(figure.axes[1]) == [(0, 0.1), (1, -0.1)]


def test_problems_are_named_once():
    figure = render(plots.plot_diagnosis(diagnosis({}, ["gap", "tied circles", "gap"])))
    assert figure.get_suptitle() == "10 points of Plane(): gap, tied circles"
    assert len(figure.axes) == 1


def test_of_many_coordinates_those_furthest_from_chance_are_drawn():
    value = np.zeros(100)
    value[[7, 80]] = -2, 1
    value[20:34] = 0.5
    (_, axes) = render(plots.plot_diagnosis(diagnosis({"mean": Statistic(value, 0.0)}))).axes
    assert tick_texts(axes.xaxis) == [str(i) for i in [7, *range(20, 34), 80]]
    assert axes.get_xlabel() == "coordinate\n(16 of 100, furthest from chance)"


def test_many_statistics_and_values_that_are_not_finite():
    statistics = {f"s{i}": Statistic([1.0, np.nan, np.inf], np.nan) for i in range(20)}
    figure = render(plots.plot_diagnosis(diagnosis(statistics)))
    assert len(figure.axes) == 16
    assert figure.get_suptitle().endswith("; the first 15 of 20 statistics")


def test_what_is_no_diagnosis():
    with pytest.raises(TypeError, match=r"must be the result of `diagnose`.*Received: dict, without \['problems'"):
        plots.plot_diagnosis({})
