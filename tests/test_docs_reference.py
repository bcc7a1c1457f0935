"""Every public name is on a page of the site's API reference."""

import importlib.util
import inspect
from pathlib import Path

import pytest
from shared.names import MODULES, REACHED, public_names

import torusae

pytestmark = pytest.mark.host

FILE = Path(__file__).parents[1] / "docs" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    (folder / "gone.rst").touch()
    reference.write(folder)
    return {file.stem: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def entries(text):
    """The names that a page describes."""
    starts = (".. autoclass:: ", ".. autofunction:: ")
    return [line.partition(":: ")[2] for line in text.splitlines() if line.startswith(starts)]


def test_every_name_that_a_user_reaches_is_described_once(written):
    paths = [name for text in written.values() for name in entries(text)]
    assert len(paths) == len(set(paths))
    described = [eval(path, {"torusae": torusae}) for path in paths]
    assert len(described) == len({id(value) for value in described})
    missing = {name for name, value in REACHED.items() if not any(value is other for other in described)}
    assert not missing


def test_every_namespace_has_a_page(written):
    listed = {name for name in torusae.__all__ if inspect.ismodule(getattr(torusae, name))}
    # Whose names can be had by the module alone, such as `torusae.sklearn`.
    alone = {
        name.removeprefix("torusae.")
        for name, module in MODULES.items()
        if name.count(".") == 1 and public_names(module) and not public_names(module).keys() & set(torusae.__all__)
    }
    assert set(written) == {"torusae", "angles"} | listed | alone


def test_names_have_their_shortest_path(written):
    assert "torusae.SpringLoss" in entries(written["losses"])
    assert "torusae.losses.MMDLoss" in entries(written["losses"])
    assert "torusae.TorusAutoencoder" in entries(written["torusae"])
    assert "torusae.data.sample_rows" in entries(written["data"])
