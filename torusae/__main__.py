"""`python -m torusae`: versions, backend, devices and what is missing, for reports of bugs.

It needs nothing but Python, so that it also runs where Keras or its backend can't be imported.
"""

import importlib
import os
import platform
import sys
from importlib import metadata

import torusae

BACKENDS = ("torch", "jax", "tensorflow")
EXTRAS = {
    **{backend: (backend,) for backend in BACKENDS},
    "plots": ("matplotlib",),
    "circles": ("ripser", "scikit-learn"),
    "sklearn": ("scikit-learn",),
}
"""The packages of each extra. They stand in pyproject.toml too, which an installed library can't read."""


def is_asked_for() -> bool:
    """Whether this process is a `python -m torusae` that is still importing the package."""
    return sys.argv[:1] == ["-m"] and not {"torusae", "-mtorusae"}.isdisjoint(sys.orig_argv)


def main() -> int:
    """Writes the report to the standard output. Returns 0, the exit code: a problem is a line of the report."""
    lines = [
        ("torusae", torusae.__version__),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        ("keras", _version("keras") or 'not installed. Install it with: pip install "keras>=3.13"'),
        ("numpy", _version("numpy") or 'not installed. Install it with: pip install "numpy>=1.26"'),
        ("scipy", _version("scipy") or 'not installed. Install it with: pip install "scipy>=1.12"'),
        ("KERAS_BACKEND", os.environ.get("KERAS_BACKEND") or "not set: Keras reads ~/.keras/keras.json, or tensorflow"),
        *_backend_lines(),
    ]
    for extra, packages in EXTRAS.items():
        missing = [package for package in packages if _version(package) is None]
        found = [f"{package} {_version(package)}" for package in packages if package not in missing]
        if missing:
            found.append(f'{" and ".join(missing)} missing. Install with: pip install "torusae[{extra}]"')
        lines.append((f"[{extra}]", ", ".join(found)))
    width = max(len(name) for name, _ in lines)
    sys.stdout.write("".join(f"{name:<{width}}  {text}\n" for name, text in lines))
    return 0


def _version(package: str) -> str | None:
    """The version of a package, `None` where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _backend_lines() -> list[tuple[str, str]]:
    """The backend with its version, and its devices, or why there are none."""
    try:
        name = importlib.import_module("keras").backend.backend()
        devices = importlib.import_module("torusae._internal.replicas").devices()
    except Exception as error:  # a missing package, an unknown name, a library that does not load
        installed = [backend for backend in BACKENDS if _version(backend)]
        advice = (
            f"Set KERAS_BACKEND to one that is installed: {', '.join(installed)}."
            if installed
            else ('Install one, for example with: pip install "torusae[jax]", and set KERAS_BACKEND=jax.')
        )
        return [("backend", f"not loaded ({type(error).__name__}: {error}). {advice}")]
    # A backend built from its sources may have no metadata.
    version = _version(name) or getattr(sys.modules.get(name), "__version__", "of unknown version")
    return [("backend", f"{name} {version}"), ("devices", ", ".join(devices))]


if __name__ == "__main__":
    sys.exit(main())
