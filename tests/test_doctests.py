"""Every example in a docstring. What it calls is tested on every backend: it shows how."""

import doctest
import importlib
import pkgutil

import keras
import pytest

import torusae

pytestmark = pytest.mark.host

MODULES = ["torusae", *(module.name for module in pkgutil.walk_packages(torusae.__path__, "torusae."))]
ROOMS = sorted({".".join(name.split(".")[:2]) for name in MODULES})


@pytest.mark.parametrize("room", ROOMS)
def test_examples_print_what_stands_below_them(room, tmp_path, monkeypatch):
    # An example that writes a file does so in a folder of its own.
    monkeypatch.chdir(tmp_path)
    failed = []
    for name in (name for name in MODULES if ".".join(name.split(".")[:2]) == room):
        keras.utils.set_random_seed(0)
        if doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed:
            failed.append(name)
    assert not failed  # with the details above


def test_examples_are_found():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {test.name for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples}
    assert "torusae.losses.springs.spring_loss" in found
    assert "torusae.layers.latent.TorusLatent" in found
    assert len(found) >= 20
