"""What is wrong with a latent space, in words, and what to change."""

from torusae.diagnostics.diagnose import diagnose
from torusae.diagnostics.problems import diagnose_points
from torusae.diagnostics.results import Diagnosis, Problem, Statistic
from torusae.diagnostics.statistics import prior_statistics
