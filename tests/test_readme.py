"""The examples of the README run on every backend, those of `docs/` on torch, and print the text below them.

The blocks of one file share their variables. A word after `python` says where a block runs: `by-hand` nowhere,
`torchrun` in two processes, a backend's name there alone.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = r"^```(python|\{code-cell\})([^\n]*)\n(.*?)^```\n(?:\n^```text\n(.*?)^```)?"
BLOCKS = {
    file.relative_to(ROOT).as_posix(): re.findall(FENCE, file.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    for file in FILES
}
BACKENDS = {"torch", "jax", "tensorflow"}
LONG = {"docs/devices.md", "docs/films.md", "docs/sklearn.md"}
# They need another machine, or packages that only another session installs, or change the backend.
BY_HAND = {"docs/index.md": 1, "docs/devices.md": 1, "docs/start.md": 1, "docs/export.md": 2}


def has_cells(name):
    """Whether a page has cells, whose output and figures the build of the site makes."""
    return any(kind == "{code-cell}" for kind, *_ in BLOCKS[name])


def test_there_are_examples():
    assert len(BLOCKS["README.md"]) == 2
    assert BLOCKS["docs/concepts.md"]
    by_hand = {name: sum("by-hand" in words.split() for _, words, *_ in blocks) for name, blocks in BLOCKS.items()}
    assert {name: count for name, count in by_hand.items() if count} == BY_HAND


PAGES = [name for name, blocks in BLOCKS.items() if blocks and name not in {"README.md", *LONG}]


@pytest.mark.parametrize("file", ["README.md", *(pytest.param(name, marks=pytest.mark.host) for name in PAGES)])
def test_examples_print_the_text_below_them(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run([block for block in BLOCKS[file] if block[0] == "python"], file)


@pytest.mark.slow
@pytest.mark.parametrize("file", [name for name in BLOCKS if has_cells(name) or name in LONG])
def test_pages_with_cells_run(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(BLOCKS[file], file)


def run(blocks, file):
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (200, 2))
    table = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    np.savetxt("table.csv", table, delimiter=",", header="a,b,c,d")  # the reader's own
    variables = {}
    for kind, words, code, expected in blocks:
        places = set(words.split()) if kind == "python" else set()
        assert places <= BACKENDS | {"by-hand", "torchrun"}
        if "torchrun" in places:
            run_in_two_processes(code)
            continue
        if places and keras.backend.backend() not in places:
            continue
        code = re.sub(r"\A(:.*\n)+", "", code)  # options of a cell
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, file, "exec"), variables)
        if expected:
            assert output.getvalue() == expected


def run_in_two_processes(code):
    if keras.backend.backend() != "torch":
        return
    Path("train.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "train.py"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr[-3000:]
    assert Path("model.keras").exists()


def test_local_links_exist():
    for file in FILES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_included_tables_exist():
    for file in FILES:
        for target in re.findall(r"^```\{include\} (\S+)", file.read_text(encoding="utf-8"), flags=re.M):
            assert (file.parent / target).exists(), f"{file.name} includes {target}"


def test_every_page_is_in_the_site():
    listed = re.findall(r"^([\w/]+)$", (ROOT / "docs/index.md").read_text(encoding="utf-8"), flags=re.M)
    pages = {file.relative_to(ROOT / "docs").with_suffix("").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    pages -= {page for page in pages if page.startswith("results/")}  # tables that results.md includes
    assert pages - {"index"} == set(listed) - {"api/torusae"}
