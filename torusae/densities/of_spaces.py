"""Which densities suit which space."""

import functools
from collections.abc import Callable
from typing import Any

from torusae.densities.flow import TorusFlow
from torusae.densities.mixture import VonMisesMixture
from torusae.densities.paths import PathDensity
from torusae.spaces import Space, Torus


@functools.singledispatch
def densities_of(space: Space) -> dict[str, Callable[..., Any]]:
    """The densities that suit a space: functions of a `seed` that return an unfitted one, by name, the default first.

    On a torus `"flow"`, `"mixture"` and `"neighbors"`; on any other space `"neighbors"` alone, steps along shortest
    paths. `densities_of.register(MySpace)` decorates a function for a space of your own.

    Args:
        space: `Space`.

    Example:

    >>> import torusae
    >>> list(torusae.densities.densities_of(torusae.Gaussian(2)))
    ['neighbors']
    """
    return {"neighbors": functools.partial(PathDensity, space)}


@densities_of.register
def _(space: Torus):
    return {"flow": TorusFlow, "mixture": VonMisesMixture, "neighbors": functools.partial(PathDensity, space)}
