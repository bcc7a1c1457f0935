"""`python -m torusae`: the report, also where packages of the extras are missing."""

import platform
import runpy
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import scipy

import torusae
from torusae.__main__ import EXTRAS

ROOT = Path(__file__).parents[1]


def test_versions_backend_devices_and_missing_extras(monkeypatch, capsys):
    version = metadata.version

    def without(package):
        if package in ("ripser", "scikit-learn"):
            raise metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(metadata, "version", without)
    monkeypatch.delitem(sys.modules, "torusae.__main__")
    runpy.run_module("torusae", run_name="__main__")  # as `python -m torusae` does
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["torusae"] == torusae.__version__
    assert lines["Python"].startswith(platform.python_version())
    assert (lines["keras"], lines["numpy"], lines["scipy"]) == (keras.__version__, np.__version__, scipy.__version__)
    backend = keras.backend.backend()
    assert lines["KERAS_BACKEND"] == backend
    assert lines["backend"] == f"{backend} {sys.modules[backend].__version__}"
    assert lines["devices"].startswith(("cpu", "gpu", "cuda", "mps"))
    assert lines[f"[{backend}]"].startswith(backend)
    assert "missing" not in lines["[plots]"]
    assert 'ripser and scikit-learn missing. Install with: pip install "torusae[circles]"' in lines["[circles]"]
    assert lines["[sklearn]"] == 'scikit-learn missing. Install with: pip install "torusae[sklearn]"'


def test_extras_are_those_of_the_project():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    packages = {extra: [each.partition(">=")[0] for each in requirements] for extra, requirements in stated.items()}
    assert {extra: list(names) for extra, names in EXTRAS.items()} == packages
