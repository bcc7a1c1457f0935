"""The pages for contributors: their tree against the imports of the library, their files and sessions."""

import ast
import re
from pathlib import Path

import keras
import pytest

import torusae

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "torusae"


def tree():
    """The lines of the tree after the first: how deep each is, and the names of its files and folders."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = re.search(r"```text\ntorusae/\n(.*?)```", text, re.DOTALL)[1].splitlines()
    return [
        (len(line) - len(line.lstrip()), re.findall(r"\w+(?:\.py|/)", re.split(r" {2,}", line.strip())[0]))
        for line in lines
    ]


def test_the_model_derives_from_keras_alone():
    assert torusae.TorusAutoencoder.__bases__ == (keras.Model,)


def test_pages_for_contributors_name_files_that_exist():
    for page in ("architecture", "contributing"):
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        paths = re.findall(r"[ `]((?:torusae|tests|docs)/[\w./]*)[` ]", text)
        assert len(paths) > 1
        assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_table_of_sessions_is_complete():
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    table = re.search(r"\| session \|.*?(?=\n\n)", text, re.DOTALL)[0]
    listed = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    functions = [
        node for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body if hasattr(node, "args")
    ]
    sessions = {
        node.name for node in functions if any("nox.session" in ast.unparse(each) for each in node.decorator_list)
    }
    assert len(listed) == len(sessions)
    assert set(listed) == sessions


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_level_imports(body):
    """The nodes that import when a module is imported: none in a function, none under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try):
            yield from module_level_imports([*node.body, *node.handlers, *node.orelse, *node.finalbody])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from module_level_imports([*node.body, *node.orelse])
        elif isinstance(node, ast.ClassDef | ast.ExceptHandler | ast.With):
            yield from module_level_imports(node.body)


def imported_rooms(file):
    """The rooms of the library that a module imports, each with the line."""
    for node in module_level_imports(ast.parse(file.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.ImportFrom) and node.module == "torusae":
            names = [f"torusae.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module if node.level == 0 else "a relative import"]
        else:
            names = [alias.name for alias in node.names]
        for name in names:
            assert name != "a relative import", f"{file}:{node.lineno}"
            if name.startswith("torusae."):
                yield name.split(".")[1], node.lineno


def test_every_module_has_its_place_in_the_tree():
    rooms = [names[0].strip("/").removesuffix(".py") for depth, names in tree() if depth == 2]
    assert len(rooms) == len(set(rooms))
    there = {room_of(file) for file in PACKAGE.rglob("*.py")} - {"__init__"}
    assert set(rooms) == there
    folder, listed = None, {}
    for depth, names in tree():
        if depth == 2:
            folder = PACKAGE / names[0] if names[0].endswith("/") else PACKAGE
        for name in names:
            assert (folder / name if depth > 2 else PACKAGE / name).exists(), name
            if depth > 2:
                listed.setdefault(folder.name, set()).add(name.strip("/"))
    # A room whose files are listed lists all of them, but for those that it hides from others.
    for room, names in listed.items():
        files = {file.name for file in (PACKAGE / room).glob("*.py") if not file.name.startswith("_")}
        assert files - names == set(), room


def test_a_room_imports_from_rooms_above_it():
    order = [names[0].strip("/").removesuffix(".py") for depth, names in tree() if depth == 2]
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {room}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if room_of(file) != "__init__"
        for room, line in imported_rooms(file)
        if room not in order[: order.index(room_of(file)) + 1]
    ]
    assert not wrong, "\n".join(wrong)
