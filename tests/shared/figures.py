"""What the tests of figures share."""

from matplotlib.figure import Figure

PI_TEXTS = ["-π", "-π/2", "0", "π/2", "π"]


def legend_texts(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def tick_texts(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def drawn_points(axes, gid):
    return sum(len(collection.get_offsets()) for collection in axes.collections if collection.get_gid() == gid)


def render(figure):
    """Draws the figure, which is when matplotlib finds most mistakes; a warning fails the test."""
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    return figure
