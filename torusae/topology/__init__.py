"""The circles of data: how many there are, their angles, and how two sets of angles correspond."""

from torusae.topology.alignment import Alignment, align, orient, short_basis
from torusae.topology.circles import Circles, find_circles
from torusae.topology.suggest import Suggestion, suggest_space
