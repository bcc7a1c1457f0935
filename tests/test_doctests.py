"""Every example in a docstring, on the current backend."""

import doctest
import importlib
import pkgutil

import pytest

import torusae

MODULES = ["torusae", *(module.name for module in pkgutil.walk_packages(torusae.__path__, "torusae."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_module(name, tmp_path, monkeypatch):
    # An example that writes a file does so in a folder of its own.
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_examples_are_found():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {test.name for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples}
    assert "torusae.losses.springs.spring_loss" in found
    assert "torusae.layers.latent.TorusLatent" in found
    assert len(found) >= 20
