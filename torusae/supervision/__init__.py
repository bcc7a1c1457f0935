"""Supervision of coordinates: known differences, known actions on the data, and known values of a few samples."""

from torusae.supervision.action import Action
from torusae.supervision.base import Supervision
from torusae.supervision.errors import AngleErrors, angle_errors
from torusae.supervision.labels import Anchor, Relative
from torusae.supervision.transforms import rotate_images, shift_images, shift_series
