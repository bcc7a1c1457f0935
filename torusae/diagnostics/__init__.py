"""What is wrong with a latent space, in words, and what to change."""

from torusae.diagnostics.diagnose import diagnose
