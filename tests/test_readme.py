"""The examples of the README and of `docs/` run, and print the text below them.

A Python block runs if a text block follows it. The blocks of one file share their variables.
"""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {
    file.relative_to(ROOT).as_posix(): re.findall(
        r"```python\n((?:(?!```).)*?)```\n+```text\n(.*?)```", file.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    for file in FILES
}


def test_there_are_examples():
    assert len(BLOCKS["README.md"]) == 4
    assert BLOCKS["docs/concepts.md"]


@pytest.mark.parametrize("file", [name for name, blocks in BLOCKS.items() if blocks])
def test_examples_print_the_text_below_them(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variables = {}
    for code, expected in BLOCKS[file]:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, file, "exec"), variables)
        assert output.getvalue() == expected


def test_local_links_exist():
    for file in FILES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{file.name} links to {target}"
