"""The errors of angles against true values, as they are and after `align`."""

import dataclasses

import numpy as np

from torusae._internal import checks, units
from torusae._internal.arrays import angle_rows, float_rows, wrap
from torusae._internal.checks import Tensor
from torusae.topology import Alignment, align


@dataclasses.dataclass(frozen=True)
class AngleErrors:
    """Median absolute errors of angles in degrees, with and without `align`. `str(errors)` is a line for each.

    Attributes:
        plain: Float array `(num_references,)`, of the angles as they are.
        aligned: Float array `(num_references,)`, of the angles after `alignment`.
        alignment: The `Alignment`.
    """

    plain: np.ndarray
    aligned: np.ndarray
    alignment: Alignment

    def __str__(self) -> str:
        return "\n".join(
            f"angle {column}: {plain:.1f}° without align, {aligned:.1f}° after align"
            for column, (plain, aligned) in enumerate(zip(self.plain, self.aligned, strict=True))
        )


def angle_errors(angles: Tensor, reference: Tensor, period: float | None = None) -> AngleErrors:
    """Median absolute errors of angles against true values, in degrees, as they are and after `align`.

    Relative values leave the zero of a circle free, and a model without labels finds circles in any order: then the
    error after `align` counts. Anchors fix them: then both are equal.

    Args:
        angles: Float tensor `(num, dim)`, radians: `model.angles(x)`. Its first columns are compared as they are.
        reference: Float tensor `(num, num_references)`, true values in the unit of `period`.
        period: Positive float. Defaults to `None`, radians.

    Example:

    >>> import numpy as np, torusae
    >>> hours = np.arange(24.0)[:, None]
    >>> print(torusae.supervision.angle_errors(hours * np.pi / 12 + 1.0, hours, period=24))
    angle 0: 57.3° without align, 0.0° after align
    """
    owner = "angle_errors"
    scale = 1.0 if period is None else 2 * np.pi / checks.period(owner, period)
    reference = float_rows(owner, "reference", checks.numpy_array(owner, "reference", reference) * scale)
    units.check_radians(owner, "reference", reference, "angle_errors(angles, reference, ", period)
    angles, reference = angle_rows(owner, angles), wrap(reference)
    alignment = align(angles, reference)

    def medians(found):
        return np.degrees(np.median(np.abs(wrap(found - reference)), axis=0))

    return AngleErrors(medians(angles[:, : reference.shape[1]]), medians(alignment(angles)), alignment)
