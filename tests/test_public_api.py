"""What `import torusae` promises: names, examples, defaults as documented, and no side effects."""

import inspect
import os
import re
import subprocess
import sys
import types

from shared.names import REACHED, SYMBOLS, public_names

import torusae


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
            "supervision",
            "topology",
        )
    }


# Bases to derive from, results, formulas that are their own example, objects without arguments beside a function that
# has the example, layers that are used as those of Keras, and what does nothing without several devices.
WITHOUT_EXAMPLE = {
    "LatentLoss",
    "Density",
    "Mnist",
    "Diagnosis",
    "Problem",
    "Statistic",
    "Circles",
    "Suggestion",
    "Posterior",
    "Alignment",
    "AngleErrors",
}
WITHOUT_EXAMPLE |= {"CircularWassersteinLoss", "ProductMomentLoss", "CramerWoldLoss", "GaussianDistanceLoss", "KLLoss"}
WITHOUT_EXAMPLE |= {"split_coordinates", "squared_radii", "polar_angles", "data_parallel"}
WITHOUT_EXAMPLE |= {"Conv2D", "MaxPooling2D", "UpSampling2D"}
WITHOUT_EXAMPLE |= {"num_replicas", "gather"}


def test_every_name_has_an_example():
    without = {name for name, value in REACHED.items() if ">>> " not in value.__doc__}
    assert without == {name for name in REACHED if name.rpartition(".")[2] in WITHOUT_EXAMPLE}


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
    """Functions, classes and their own methods, by name."""
    for full_name, symbol in SYMBOLS.items():
        yield full_name, symbol
        if inspect.isclass(symbol):
            for name, member in vars(symbol).items():
                function = getattr(member, "__func__", member)
                if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
                    yield f"{full_name}.{name}", function


def wrong_arguments(name, function):
    """Arguments whose prose is not the signature's: other names, another default, or no prose beside others' prose."""
    parameters = inspect.signature(function).parameters
    defaults = dict(documented_defaults(inspect.getdoc(function)))
    for argument, text in defaults.items():
        if argument.startswith("*"):
            continue
        if argument not in parameters:
            yield f"{name}: {argument} is documented and not in the signature"
        elif text is not None:
            stated = 2 * 3.141592653589793 if text == "2π" else eval(text)
            default = parameters[argument].default
            if default != stated or type(default) is not type(stated):
                yield f"{name}: {argument} is {default!r}, its prose says {text}"
    if defaults and inspect.isclass(function):
        given = {each for each, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        documented_everywhere = {"name", "dtype"}  # what every Keras layer takes
        for argument in sorted(given - set(defaults) - documented_everywhere):
            yield f"{name}: {argument} is not documented"


def test_arguments_in_prose_are_those_of_the_signature():
    assert not [wrong for each in documented_callables() for wrong in wrong_arguments(*each)]


def test_defaults_are_found_in_prose():
    # Guards the parser above: without it a changed layout of the docstrings would make that test empty.
    found = dict(documented_defaults(inspect.getdoc(torusae.QuantileLoss)))
    assert found["mean"] == "1.0"
    assert found["quantile_function"] == "None"
    assert found["squared"] == "False"
    assert found["reduction"] == '"normalized"'
    assert dict(documented_defaults(inspect.getdoc(torusae.wrap_angles))) == {"angles": None, "period": "2π"}

    def function(here, there=2): ...

    prose = ["    here: Defaults to `1`.", "    where: Anything.", "    there: Defaults to `2.0`."]
    function.__doc__ = "\n".join(["What it does.", "", "Args:", *prose])
    wrong = list(wrong_arguments("function", function))
    assert [each.split()[1] for each in wrong] == ["here", "where", "there"]


IMPORT = """
import logging, os, sys, warnings
# Keras imports what is installed of these; the library must do without, and name the extra.
optional = ["matplotlib", "sklearn", "ripser", "pandas", "IPython"]
sys.modules.update({name: None for name in optional})
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
print(*sorted({name.split(".")[0] for name in set(sys.modules) - modules} - sys.stdlib_module_names))
try:
    import torusae.sklearn
except ImportError as error:
    print(error)
"""


def test_import_has_no_side_effect_and_needs_no_optional_package():
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:torusae", "-c", IMPORT],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    # Between the two marks the import printed nothing; after them stands what it loaded.
    *lines, missing = done.stdout.splitlines()
    assert lines == ["before", "after", "torusae"]
    assert 'pip install "scikit-learn>=1.6"' in missing
