"""Python in the README and the docs runs as pasted: it uses nothing that it does not import, and that is there."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "vidcm" / "assets").rglob("*.md"))]
SNIPPETS = {
    f"{page.relative_to(ROOT).as_posix()}:{number}": code
    for page in PAGES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
}


def test_snippets_use_nothing_that_they_do_not_import(tmp_path: Path) -> None:
    assert len(SNIPPETS) >= 8
    for name, code in SNIPPETS.items():
        (tmp_path / re.sub(r"\W", "_", f"{name}.py")).with_suffix(".py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F811", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("name", SNIPPETS)
def test_what_snippets_import_is_there(name: str) -> None:
    """Told from the source, so that nothing heavy is loaded."""
    for node in ast.walk(ast.parse(SNIPPETS[name])):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vidcm"):
            source = Path(importlib.util.find_spec(str(node.module)).origin)  # type: ignore[arg-type, union-attr]
            for alias in node.names:
                beside = source.parent / alias.name
                is_module = source.name == "__init__.py" and (beside.with_suffix(".py").exists() or beside.is_dir())
                assert is_module or re.search(rf"\b{alias.name}\b", source.read_text(encoding="utf-8"))
