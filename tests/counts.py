"""Counts of the library: its lines, its names, and the calls that one use of a model makes into it.

    KERAS_BACKEND=jax python tests/counts.py

Lines of code are those that hold anything but docstrings, comments and white space. A public name is a function or a
class of `torusae`, of a module that `torusae` lists, of `torusae.angles` or of `torusae.codes`.

Calls are those of Python functions whose source lies in the library, as `sys.setprofile` sees them in the main thread:
methods, nested functions and lambdas, each resumption of a generator, and up to Python 3.11 each comprehension. A
change of file is a call from another file than the call before it. The model runs eagerly (`run_eagerly=True`), on a
table, and was trained before; `angles` and `sample` are called for the first time. The counts that stand in the docs
are of JAX and Python 3.11.
"""

import argparse
import ast
import importlib
import inspect
import io
import pkgutil
import sys
import tokenize
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_WITH_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Lines(NamedTuple):
    """Numbers of lines, and of `raise` statements."""

    all: int
    code: int
    docstring: int
    comment: int
    raises: int


def lines_of(source: str) -> Lines:
    """The counts of one file."""
    tree = ast.parse(source)
    docstrings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, _WITH_DOCSTRINGS) and ast.get_docstring(node, clean=False) is not None
        for line in range(node.body[0].lineno, int(node.body[0].end_lineno or 0) + 1)
    }
    code: set[int] = set()
    comments: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in _LAYOUT:
            code.update(range(token.start[0], token.end[0] + 1))
    code -= docstrings
    raises = sum(isinstance(node, ast.Raise) for node in ast.walk(tree))
    return Lines(len(source.splitlines()), len(code), len(docstrings), len(comments - code), raises)


def library_lines(root: Path) -> Lines:
    """The counts of all Python files below a folder."""
    files = [lines_of(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.py"))]
    return Lines(*map(sum, zip(*files, strict=True)))


def names_of(module: ModuleType) -> list[Any]:
    """The functions and classes of the library that a module lists, else that a package shows or a module defines."""
    listed = hasattr(module, "__all__")
    values = [getattr(module, name) for name in getattr(module, "__all__", vars(module)) if not name.startswith("_")]
    return [
        value
        for value in values
        if callable(value)
        and str(value.__module__).startswith("torusae.")
        and (listed or hasattr(module, "__path__") or value.__module__ == module.__name__)
    ]


def public_names(library: ModuleType) -> tuple[set[str], set[str]]:
    """The public names, and those of all modules without an underscore directly in the library."""
    listed = [value for value in (getattr(library, name) for name in library.__all__) if inspect.ismodule(value)]
    beside = [importlib.import_module(f"torusae.{name}") for name in ("angles", "codes")]
    rooms = [
        importlib.import_module(f"torusae.{info.name}")
        for info in pkgutil.iter_modules(library.__path__)
        if not info.name.startswith("_")
    ]

    def distinct(modules: list[ModuleType]) -> set[str]:
        return {f"{value.__module__}.{value.__name__}" for module in modules for value in names_of(module)}

    return distinct([library, *listed, *beside]), distinct([library, *rooms])


class Calls:
    """The calls into the library while a function runs."""

    def __init__(self, function: Callable[[], Any], root: Path):
        self.root = f"{root}/"
        self.files: list[str] = []
        self.functions: list[tuple[str, str, int]] = []
        sys.setprofile(self._event)
        try:
            function()
        finally:
            sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(self.root):
            file = code.co_filename.removeprefix(self.root)
            self.files.append(file)
            self.functions.append((file, getattr(code, "co_qualname", code.co_name), code.co_firstlineno))

    @property
    def changes(self) -> int:
        """How many calls are made from another file than the call before."""
        return sum(a != b for a, b in zip(self.files, self.files[1:], strict=False))

    def __str__(self) -> str:
        return (
            f"{len(self.files)} calls, {len(set(self.functions))} functions, {len(set(self.files))} files, "
            f"{self.changes} changes of file"
        )


def uses() -> dict[str, Callable[[], Any]]:
    """What is counted: functions of a small trained model with one head, and a fitted flow beside it."""
    import keras

    import torusae

    keras.utils.set_random_seed(0)
    x, angles = torusae.datasets.torus_table(64, dim=2, columns=8, seed=0)
    y = {"half": (angles[:, 0] > 0).astype("int32")}
    head = torusae.Head("classification", 2)
    model = torusae.TorusAutoencoder.from_shape(x.shape[1:], dim=2, heads={"half": head})
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(x, y, batch_size=64, verbose=0)
    model.train_on_batch(x, y)
    model.fit_density(x, torusae.densities.TorusFlow(epochs=1, seed=0), verbose=0)
    return {
        # Other rows than before, so that its network is traced once.
        "angles(x, uniform=True)": lambda: model.angles(x[:10], uniform=True, verbose=0),
        "sample of the fitted density": lambda: model.sample(10, seed=0, density="fitted", verbose=0),
        # Last: training forgets the density.
        "one training step": lambda: model.train_on_batch(x, y),
        "fit of one batch": lambda: model.fit(x, y, batch_size=64, verbose=0),
    }


def main() -> None:
    """Prints all counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", metavar="USE", help="lists the calls of one use, such as 'one training step'")
    arguments = parser.parse_args()

    import keras

    import torusae

    root = Path(torusae.__file__).parent
    if arguments.calls:
        calls = Calls(uses()[arguments.calls], root)
        sys.stdout.write("".join(f"{file}:{line} {name}\n" for file, name, line in calls.functions))
        return
    lines = library_lines(root)
    names, with_rooms = public_names(torusae)
    python = ".".join(map(str, sys.version_info[:2]))
    text = [
        f"lines of Python: {lines.all}, of code: {lines.code}, docstring: {lines.docstring}, comment: {lines.comment}",
        f"raise: {lines.raises}",
        f"public names: {len(names)}, with those of all rooms: {len(with_rooms)}",
        f"calls ({keras.backend.backend()}, Keras {keras.__version__}, Python {python}):",
        *(f"  {name}: {Calls(function, root)}" for name, function in uses().items()),
    ]
    sys.stdout.write("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
