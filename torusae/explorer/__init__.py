"""A model's torus as one HTML file that opens from the disk: `torusae.explore`."""

from torusae.explorer.writing import explore
