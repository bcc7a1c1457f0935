"""`python -m torusae` in processes of its own: with the backend, and where a package can't be imported."""

import os
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
import scipy

import torusae
from torusae.__main__ import EXTRAS, REQUIRED

ROOT = Path(__file__).parents[1]


def report(*prelude, **environment):
    """The report as a dict from the name of a line to its text. `prelude`: code that runs first."""
    command = ["-c", "\n".join(prelude)] if prelude else ["-m", "torusae"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def hidden(*packages):
    """Code that runs the report in an interpreter without some packages."""
    return (
        "import importlib.metadata as metadata, runpy, sys",
        f"hidden = {packages!r}",
        "sys.modules.update({name: None for name in hidden})",
        "version = metadata.version",
        "def without(name):",
        "    if name.replace('scikit-learn', 'sklearn') in hidden: raise metadata.PackageNotFoundError(name)",
        "    return version(name)",
        "metadata.version = without",
        "sys.argv = ['-m']",  # as Python sets it while it looks for the module
        "sys.orig_argv = [sys.executable, '-m', 'torusae']",
        "runpy.run_module('torusae', run_name='__main__', alter_sys=True)",
    )


def test_versions_backend_devices_and_missing_extras():
    lines = report(*hidden("ripser", "sklearn"))
    assert lines["torusae"] == torusae.__version__
    assert lines["Python"].startswith(platform.python_version())
    assert (lines["keras"], lines["numpy"], lines["scipy"]) == (keras.__version__, np.__version__, scipy.__version__)
    backend = keras.backend.backend()
    assert lines["KERAS_BACKEND"] == backend
    # Some wheels of torch leave their build out of the package's version.
    name, version = lines["backend"].split()
    assert (name, version.split("+")[0]) == (backend, sys.modules[backend].__version__.split("+")[0])
    assert lines["devices"].startswith(("cpu", "gpu", "cuda", "mps"))
    assert lines[f"[{backend}]"].startswith(backend)
    assert "missing" not in lines["[plots]"]
    assert "ripser and scikit-learn missing. Install with: pip install ripser scikit-learn" in lines["[circles]"]
    assert lines["[sklearn]"] == "scikit-learn missing. Install with: pip install scikit-learn"


def test_an_unknown_backend_is_a_line_of_the_report():
    lines = report(KERAS_BACKEND="abacus")
    assert lines["KERAS_BACKEND"] == "abacus"
    assert lines["backend"].startswith("not loaded (ValueError")
    assert keras.backend.backend() in lines["backend"].partition("Set KERAS_BACKEND to one that is installed")[2]
    assert "devices" not in lines


def test_a_missing_backend_is_a_line_of_the_report():
    backend = keras.backend.backend()
    lines = report(*hidden(backend))
    assert lines["backend"].startswith("not loaded (ModuleNotFoundError")
    assert lines[f"[{backend}]"] == f"{backend} missing. Install with: pip install {backend}"


def test_missing_keras_is_a_line_of_the_report():
    lines = report(*hidden("keras"))
    assert lines["torusae"] == torusae.__version__
    assert lines["keras"].startswith("not installed")


def test_an_import_without_a_backend_says_what_helps_after_the_error_of_keras():
    backend = keras.backend.backend()
    for prelude, environment, cause, advice in [
        (
            (),
            {"KERAS_BACKEND": "abacus"},
            "ValueError: .*abacus",
            f"Set KERAS_BACKEND to one .* installed: .*{backend}",
        ),
        (hidden(backend)[:-3], {}, f"ModuleNotFoundError: .*{backend}", "Install one, for example"),
        (hidden("keras")[:-3], {}, "ModuleNotFoundError: .*keras", 'Install it with: pip install "keras>=3.13"'),
    ]:
        command = [sys.executable, "-c", "\n".join([*prelude, "import torusae"])]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        *before, last = done.stderr.splitlines()
        assert re.match(rf"ImportError: torusae: Keras or its backend is not loaded \({cause}.*\)\. {advice}", last)
        assert any(re.match(cause, line) for line in before)
        assert "direct cause" in done.stderr
        assert not done.stdout


def test_packages_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {f"{name}>={version}" for name, version in REQUIRED.items()} == set(project["dependencies"])
    stated = project["optional-dependencies"]
    packages = {extra: [each.partition(">=")[0] for each in requirements] for extra, requirements in stated.items()}
    assert {extra: list(names) for extra, names in EXTRAS.items()} == packages
