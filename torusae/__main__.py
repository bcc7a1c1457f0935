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
REQUIRED = {"keras": "3.13", "numpy": "1.26", "scipy": "1.12"}
EXTRAS = {
    **{backend: (backend,) for backend in BACKENDS},
    "plots": ("matplotlib",),
    "circles": ("ripser", "scikit-learn"),
    "sklearn": ("scikit-learn",),
}
"""The packages of each extra. These and the required ones stand in pyproject.toml, which no installed library reads."""


def is_asked_for() -> bool:
    """Whether this process is a `python -m torusae` that is still importing the package."""
    return sys.argv[:1] == ["-m"] and not {"torusae", "-mtorusae"}.isdisjoint(sys.orig_argv)


def main() -> int:
    """Writes the report to the standard output. Returns 0, the exit code: a problem is a line of the report."""
    lines = [
        ("torusae", torusae.__version__),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        *((name, _version(name) or f"not installed. {_install(name)}") for name in REQUIRED),
        ("KERAS_BACKEND", os.environ.get("KERAS_BACKEND") or "not set: Keras reads ~/.keras/keras.json, or tensorflow"),
        *_backend_lines(),
    ]
    for extra, packages in EXTRAS.items():
        missing = [package for package in packages if _version(package) is None]
        found = [f"{package} {_version(package)}" for package in packages if package not in missing]
        if missing:
            found.append(f"{' and '.join(missing)} missing. Install with: pip install {' '.join(missing)}")
        lines.append((f"[{extra}]", ", ".join(found)))
    width = max(len(name) for name, _ in lines)
    sys.stdout.write("".join(f"{name:<{width}}  {text}\n" for name, text in lines))
    return 0


def not_loaded(error: Exception) -> str:
    """Why Keras can't be imported with its backend (a missing package, an unknown name), and what helps."""
    installed = [backend for backend in BACKENDS if _version(backend)]
    if _version("keras") is None:
        advice = _install("keras")
    elif installed:
        advice = f"Set KERAS_BACKEND to one that is installed: {', '.join(installed)}."
    else:
        advice = "Install one, for example with: pip install jax, and set KERAS_BACKEND=jax."
    return f"not loaded ({type(error).__name__}: {error}). {advice}"


def _install(package: str) -> str:
    return f'Install it with: pip install "{package}>={REQUIRED[package]}"'


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
    except Exception as error:
        return [("backend", not_loaded(error))]
    # A backend built from its sources may have no metadata.
    version = _version(name) or getattr(sys.modules.get(name), "__version__", "of unknown version")
    return [("backend", f"{name} {version}"), ("devices", ", ".join(devices))]


if __name__ == "__main__":
    sys.exit(main())
