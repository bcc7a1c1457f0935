"""The public names of the library."""

import importlib
import inspect
import pkgutil

import torusae

MODULES = {
    name: importlib.import_module(name)
    for _, name, _ in pkgutil.walk_packages(torusae.__path__, "torusae.")
    if not any(part.startswith("_") for part in name.split("."))
}


def public_names(module):
    """Functions and classes of the library that a package shows, or that a module defines, for others."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and (hasattr(module, "__path__") or value.__module__ == module.__name__)
        and value.__module__.startswith("torusae.")
    }


SYMBOLS = {
    f"{module.__name__}.{name}": value
    for module in MODULES.values()
    for name, value in public_names(module).items()
    if value.__module__ == module.__name__
}


def reached():
    """What a user reaches: the names of the top level, of its packages and modules, of `angles` and of `codes`."""
    modules = [getattr(torusae, name) for name in torusae.__all__]
    for module in (torusae, torusae.angles, torusae.codes, *filter(inspect.ismodule, modules)):
        for value in (getattr(module, name) for name in getattr(module, "__all__", public_names(module))):
            if callable(value):
                yield f"{value.__module__}.{value.__name__}", value


REACHED = dict(reached())
