"""Figures and films with matplotlib: angles, springs, morphs, images, occupancy, radii, learning curves, a diagnosis.

Every function `plot_...` returns a `matplotlib.figure.Figure` outside pyplot. Save it with `figure.savefig("x.png")`,
or let a notebook show it. `Film` and `save_morph` write GIFs. matplotlib is imported by the first figure: without it,
`pip install matplotlib`.

Data that are not floating-point are a TypeError; data that are empty, of another shape than documented, NaN or infinite
a ValueError. Angles are in radians, read modulo 2π; for those through the fitted flow give
`model.angles(x, uniform=True)`. Figures number circles, coordinates and paths from 0: φ₀ is column 0 of `angles(x)`.
"""

from torusae.plots.angles import plot_angles
from torusae.plots.diagnosis import plot_diagnosis
from torusae.plots.films import Film, save_morph
from torusae.plots.history import plot_history
from torusae.plots.images import plot_samples
from torusae.plots.morphs import plot_morph, plot_morphs
from torusae.plots.occupancy import plot_occupancy
from torusae.plots.radii import plot_radii
from torusae.plots.spaces import draw_points
from torusae.plots.springs import plot_spring
