"""The pages of the API reference, made from the names of the library, so that none can be missing.

A name is described once, by its shortest path: `torusae.SpringLoss`, not `torusae.losses.SpringLoss`. Each namespace,
such as `torusae.losses`, has a page with its own names and with those that `torusae` takes from it. The rest of
`torusae` is on a page of its own.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import torusae

# A namespace although `torusae` takes names from it: those of losses and decoders of one's own.
ALSO_NAMESPACES = {"angles"}
# Bases whose members are not repeated: those with an entry of their own, and those of Keras and scikit-learn.
BASES = "Space, LatentLoss, Latent, Density, Model, Layer, Loss, Metric, Callback, ClassNamePrefixFeaturesOutMixin"


def names_of(module: ModuleType) -> dict[str, object]:
    """The public functions and classes of a module, by `__all__` where there is one."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names}
    package = hasattr(module, "__path__")
    return {
        name: value
        for name, value in found.items()
        if callable(value)
        and value.__module__.startswith("torusae.")
        and (package or hasattr(module, "__all__") or value.__module__ == module.__name__)
    }


def namespaces() -> dict[str, ModuleType]:
    """The modules whose names are used through them: those that `torusae` lists, or takes no name from."""
    top = names_of(torusae)
    found = {}
    for info in pkgutil.iter_modules(torusae.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"torusae.{info.name}")
        names = names_of(module)
        listed = info.name in torusae.__all__ or info.name in ALSO_NAMESPACES
        if names and (listed or not names.keys() & top.keys()):
            found[info.name] = module
    return found


def pages() -> dict[str, dict[str, object]]:
    """The names on each page, as paths for a user: `{"losses": {"torusae.losses.MMDLoss": ..., ...}, ...}`."""
    top = names_of(torusae)
    left = dict(top)
    result: dict[str, dict[str, object]] = {"torusae": {}}
    for page, module in namespaces().items():
        result[page] = {}
        for name, value in names_of(module).items():
            is_top = top.get(name) is value
            result[page][f"torusae.{name}" if is_top else f"torusae.{page}.{name}"] = value
            left.pop(name, None)
    result["torusae"] = {f"torusae.{name}": value for name, value in left.items()}
    return result


def page(title: str, intro: str, names: dict[str, object]) -> str:
    """A page in reStructuredText: a table of the names, then each with its docstring."""
    lines = [title, "=" * len(title), "", intro, "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   ~{name}" for name in names]
    for name, value in names.items():
        lines += [""]
        if inspect.isclass(value):
            lines += [f".. autoclass:: {name}", "   :members:", f"   :inherited-members: {BASES}"]
            lines += ["   :show-inheritance:"] if value.__mro__[1] is not object else []
        else:
            lines += [f".. autofunction:: {name}"]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write all pages, and remove those of names that are gone."""
    folder.mkdir(exist_ok=True)
    texts = {}
    for name, names in pages().items():
        module = torusae if name == "torusae" else importlib.import_module(f"torusae.{name}")
        title = "torusae" if name == "torusae" else f"torusae.{name}"
        texts[f"{name}.rst"] = page(title, inspect.getdoc(module), names)
    for old in folder.iterdir():
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # Sphinx reads what is new
            path.write_text(text, encoding="utf-8")
