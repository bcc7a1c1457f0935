"""`python -m torusae`: versions, backend, devices and missing extras, for reports of bugs."""

import os
import platform
import sys
from importlib import metadata

import keras

import torusae
from torusae._internal import replicas

EXTRAS = {
    "torch": ("torch",),
    "jax": ("jax",),
    "tensorflow": ("tensorflow",),
    "plots": ("matplotlib",),
    "circles": ("ripser", "scikit-learn"),
    "sklearn": ("scikit-learn",),
}
"""The packages of each extra. They stand in pyproject.toml too, which an installed library can't read."""


def main() -> None:
    """Writes the report to the standard output."""
    backend = keras.backend.backend()
    lines = {
        "torusae": torusae.__version__,
        "Python": f"{platform.python_version()} on {platform.platform()}",
        **{package: metadata.version(package) for package in ("keras", "numpy", "scipy")},
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND") or "not set: Keras reads ~/.keras/keras.json, or tensorflow",
        "backend": f"{backend} {sys.modules[backend].__version__}",
        "devices": ", ".join(replicas.devices()),
        **{f"[{extra}]": _state(extra, packages) for extra, packages in EXTRAS.items()},
    }
    width = max(map(len, lines))
    sys.stdout.write("".join(f"{name:<{width}}  {text}\n" for name, text in lines.items()))


def _state(extra: str, packages: tuple[str, ...]) -> str:
    """The versions of an extra's packages, and how to install those that are missing."""
    found, missing = [], []
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        found.append(f'{" and ".join(missing)} missing. Install with: pip install "torusae[{extra}]"')
    return ", ".join(found)


if __name__ == "__main__":
    main()
