"""What `import torusae` promises: names, examples, defaults as documented, and no side effects."""

import inspect
import os
import re
import subprocess
import sys
import types

import pytest

import torusae

# Two modules are namespaces of their own; the other names are functions and classes.
NAMESPACES = {"datasets", "distribution", "plots"}


def public_functions(module):
    """Functions and classes that a module defines for others."""
    return [
        value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__ and callable(value)
    ]


SYMBOLS = [getattr(torusae, name) for name in torusae.__all__ if name not in {"__version__", *NAMESPACES}]
SYMBOLS += [symbol for name in sorted(NAMESPACES) for symbol in public_functions(getattr(torusae, name))]


def name_of(symbol):
    return symbol.__name__


def test_all_is_sorted_and_complete():
    assert torusae.__all__ == sorted(torusae.__all__)
    public = {
        name
        for name, value in vars(torusae).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert set(torusae.__all__) == public | NAMESPACES | {"__version__"}


def test_version_is_of_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", torusae.__version__)


@pytest.mark.parametrize("symbol", SYMBOLS, ids=name_of)
def test_symbol_lives_in_torusae_and_says_what_it_is(symbol):
    assert symbol.__module__.startswith("torusae.")
    first_line = symbol.__doc__.split("\n")[0]
    assert first_line.endswith((".", "`")), first_line


# Bases that are there to be derived from, what load_mnist returns, and two that are their formula.
WITHOUT_EXAMPLE = {"Space", "Mnist", "LatentLoss", "split_code", "squared_radii"}
# What needs several devices, or is part of a step: nothing to see on one.
WITHOUT_EXAMPLE |= {"data_parallel", "share", "mean", "agree", "num_parts", "without_filling", "FilledBatches"}


@pytest.mark.parametrize("symbol", SYMBOLS, ids=name_of)
def test_symbol_has_an_example(symbol):
    assert (">>> " in symbol.__doc__) is (symbol.__name__ not in WITHOUT_EXAMPLE)


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
    for symbol in SYMBOLS:
        yield pytest.param(symbol, symbol, id=symbol.__name__)
        if inspect.isclass(symbol):
            for name, member in vars(symbol).items():
                function = getattr(member, "__func__", member)
                if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
                    yield pytest.param(function, function, id=f"{symbol.__name__}.{name}")


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
    assert found["name"] == '"quantile"'
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
