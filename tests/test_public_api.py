"""What `import torusae` promises: names, examples, defaults as documented, and no side effects."""

import inspect
import os
import re
import subprocess
import sys
import types

import pytest
from shared.names import MODULES, REACHED, SYMBOLS, public_names

import torusae

PACKAGES = [torusae, *(module for module in MODULES.values() if hasattr(module, "__path__"))]


EACH_SYMBOL = pytest.mark.parametrize("symbol", [pytest.param(symbol, id=name) for name, symbol in SYMBOLS.items()])


def test_all_is_sorted_and_complete():
    modules = {name for name in torusae.__all__ if isinstance(getattr(torusae, name), types.ModuleType)}
    assert torusae.__all__ == sorted(torusae.__all__)
    assert set(torusae.__all__) - modules - {"__version__"} == set(public_names(torusae))
    assert "__version__" in torusae.__all__
    # Those of the names' own modules, such as torusae.layers.head, are reached by the names.
    assert modules == {
        *(
            "data",
            "datasets",
            "densities",
            "distribution",
            "losses",
            "metrics",
            "networks",
            "plots",
            "spaces",
            "topology",
        )
    }


def test_the_top_level_is_small():
    assert len(torusae.__all__) <= 45


@pytest.mark.parametrize("module", [torusae, *MODULES.values()], ids=lambda module: module.__name__)
def test_module_says_what_it_is(module):
    first_line = module.__doc__.split("\n")[0]
    assert first_line.endswith("."), first_line


def test_version_is_of_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", torusae.__version__)


@EACH_SYMBOL
def test_symbol_says_what_it_is(symbol):
    first_line = symbol.__doc__.split("\n")[0]
    assert first_line.endswith((".", "`")), first_line


# Bases to derive from, results, formulas that are their own example, objects without arguments beside a function that
# has the example, layers that are used as those of Keras, and what does nothing without several devices.
WITHOUT_EXAMPLE = {"LatentLoss", "Density", "Mnist", "Diagnosis", "Problem", "Statistic", "Circles", "Alignment"}
WITHOUT_EXAMPLE |= {"CircularWassersteinLoss", "ProductMomentLoss", "CramerWoldLoss", "GaussianDistanceLoss", "KLLoss"}
WITHOUT_EXAMPLE |= {"split_code", "squared_radii", "polar_angles", "replica_mean", "data_parallel"}
WITHOUT_EXAMPLE |= {"Conv2D", "MaxPooling2D", "UpSampling2D"}
WITHOUT_EXAMPLE |= {"num_replicas", "gather", "sum_over_replicas", "share", "mean", "agree", "num_parts"}


@pytest.mark.parametrize("name", REACHED)
def test_symbol_has_an_example(name):
    assert (">>> " in REACHED[name].__doc__) is (name.rpartition(".")[2] not in WITHOUT_EXAMPLE)


def test_every_namespace_is_reached():
    for name in ("metrics.circles.kuiper_statistic", "data.sample_rows", "distribution.gather", "angles.to_polar"):
        assert f"torusae.{name}" in REACHED


def documented_defaults(doc):
    """Pairs of an argument of an `Args:` section and its `Defaults to X`."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", doc, re.S | re.M)
    if not section:
        return
    for entry in re.split(r"^ {4}(?=\S)", section[1], flags=re.M)[1:]:
        name, _, text = entry.partition(":")
        default = re.search(r"Defaults\s+to\s+`([^`]*)`", text)
        yield name.strip(), default and default[1]


def documented_callables():
    for full_name, symbol in SYMBOLS.items():
        yield pytest.param(symbol, symbol, id=full_name)
        if inspect.isclass(symbol):
            for name, member in vars(symbol).items():
                function = getattr(member, "__func__", member)
                if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
                    yield pytest.param(function, function, id=f"{full_name}.{name}")


@pytest.mark.parametrize(("documented", "called"), list(documented_callables()))
def test_defaults_in_prose_equal_the_signature(documented, called):
    parameters = inspect.signature(called).parameters
    doc = inspect.getdoc(documented)
    documented_names = set()
    for name, default in documented_defaults(doc):
        documented_names.add(name)
        if name.startswith("*"):
            continue
        assert name in parameters, f"{name} is documented and not in the signature"
        if default is not None:
            value = 2 * 3.141592653589793 if default == "2π" else eval(default)
            assert parameters[name].default == value, f"{name}: prose says {default}"
            assert type(parameters[name].default) is type(value)
    if documented_names and inspect.isclass(documented):
        given = {name for name, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        documented_everywhere = {"name", "dtype"}  # what every Keras layer takes
        assert given - documented_names <= documented_everywhere, f"not documented: {given - documented_names}"


def test_defaults_are_found_in_prose():
    # Guards the parser above: without it a changed layout of the docstrings would make that test empty.
    found = dict(documented_defaults(inspect.getdoc(torusae.QuantileLoss)))
    assert found["mean"] == "1.0"
    assert found["quantile_function"] == "None"
    assert found["squared"] == "False"
    assert found["reduction"] == '"normalized"'
    assert dict(documented_defaults(inspect.getdoc(torusae.wrap_angles))) == {"angles": None, "period": "2π"}


IMPORT = """
import logging, os, sys, warnings
import keras, numpy
environment, modules, handlers = dict(os.environ), set(sys.modules), list(logging.root.handlers)
filters, policy = list(warnings.filters), keras.config.dtype_policy().name
print("before", flush=True)
import torusae
print("after", flush=True)
assert dict(os.environ) == environment, "environment"
assert logging.root.handlers == handlers, "log handlers"
assert warnings.filters == filters, "warning filters"
assert keras.config.dtype_policy().name == policy, "dtype policy"
new = {name.split(".")[0] for name in set(sys.modules) - modules}
print("new", *sorted(name for name in new if name in ("matplotlib", "scipy", "pandas", "PIL", "IPython", "requests")))
print("top", *sorted(new - sys.stdlib_module_names))
"""


def test_import_has_no_side_effect():
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:torusae", "-c", IMPORT],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    # Between the two marks the import printed nothing; after them stands what it loaded.
    assert done.stdout.splitlines() == ["before", "after", "new", "top torusae"]
