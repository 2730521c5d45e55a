"""What is shipped, from where, and who may import whom."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODEL_LIMIT_MIB = 48


def package_folders() -> dict[str, str]:
    """Name -> folder of every Python package of ours, as it lies in the tree."""
    inner = {init.parent.relative_to(ROOT).as_posix() for init in (ROOT / "vidcm").rglob("__init__.py")}
    outer = {init.parent.relative_to(ROOT).as_posix() for init in (ROOT / "pipelines").rglob("__init__.py")}
    return {path.replace("/", "."): path for path in inner} | {f"vidcm.{p.replace('/', '.')}": p for p in outer}


def shipped_assets() -> set[str]:
    """The files of the shipped models, relative to the package."""
    files = (file for file in (ROOT / "vidcm" / "assets").rglob("*") if file.is_file())
    return {file.relative_to(ROOT / "vidcm").as_posix() for file in files}


def tree_as_imported(folder: Path) -> Path:
    """Copy our packages to where their names say; returns the vidcm folder."""
    for name, path in package_folders().items():
        target = folder / name.replace(".", "/")
        target.mkdir(parents=True, exist_ok=True)
        for file in (ROOT / path).glob("*.py"):
            shutil.copy(file, target)
    return folder / "vidcm"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)


def test_every_package_in_the_tree_is_shipped() -> None:
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == set(package_folders())


def test_all_brings_every_extra() -> None:
    extras = SETTINGS["project"]["optional-dependencies"]
    assert extras["all"] == [f"vidcm[{','.join(name for name in extras if name != 'all')}]"]


def test_an_editable_install_finds_the_pipelines_from_anywhere(tmp_path: Path) -> None:
    found = run(sys.executable, "-c", "import vidcm.pipelines as p; print(p.__file__)", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()) == ROOT / "pipelines" / "__init__.py"


def test_importing_the_pipelines_says_nothing(tmp_path: Path) -> None:
    """xformers, which diffusers imports, would have much to say on a machine without CUDA."""
    found = run(sys.executable, "-c", "import vidcm.pipelines", cwd=tmp_path)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_a_level_that_somebody_set_for_xformers_stays(tmp_path: Path) -> None:
    code = "import logging; log = logging.getLogger('xformers'); log.setLevel(10); import vidcm; print(log.level)"
    assert run(sys.executable, "-c", code, cwd=tmp_path).stdout == "10\n"


def test_shipped_models_are_small_and_hold_no_pickles() -> None:
    files = [ROOT / "vidcm" / name for name in shipped_assets()]
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".md"}
    assert sum(file.stat().st_size for file in files) <= MODEL_LIMIT_MIB * 2**20


@pytest.mark.slow
def test_a_wheel_works_far_from_the_tree(tmp_path: Path) -> None:
    source = tmp_path / "source"
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in listed:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, source / name)
    built = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, source, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("vidcm-*.whl")
    assert {f"vidcm/{name}" for name in shipped_assets()} < set(zipfile.ZipFile(wheel).namelist())

    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    installed = run(binaries / "python", "-m", "pip", "install", "--no-deps", wheel, cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    [site] = (tmp_path / "venv").rglob("site-packages")
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "libraries.pth").write_text(libraries + "\n")  # torch and the others; its own .pth files are not read

    probe = "import vidcm.pipelines, vidcm.cli.main; print(vidcm.__file__, vidcm.pipelines.__file__, sep='\\n')"
    found = run(binaries / "python", "-c", probe, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert [Path(line) for line in found.stdout.split()] == [
        site / "vidcm" / "__init__.py",
        site / "vidcm" / "pipelines" / "__init__.py",
    ]
    assert "interpolate" in run(binaries / "vidcm", "--help", cwd=tmp_path).stdout
    if shipped_assets():
        assert str(site) in run(binaries / "vidcm", "models", cwd=tmp_path).stdout


# --- the rooms: each contract is broken once ---


def contracts_broken_by(folder: Path) -> str:
    """What import-linter says of the tree in `folder`; "" when every contract is kept."""
    linter = Path(sys.executable).with_name("lint-imports")
    found = run(linter, "--config", ROOT / "pyproject.toml", "--no-cache", "--no-logo", cwd=folder)
    return "" if found.returncode == 0 else found.stdout + found.stderr


def test_the_rooms_are_kept(tmp_path: Path) -> None:
    tree_as_imported(tmp_path)
    assert contracts_broken_by(tmp_path) == ""


VIOLATIONS = {
    "core -> media": ("core/noise.py", "import vidcm.media", "Imports go down"),
    "settings -> media": ("settings.py", "import vidcm.media", "Imports go down"),
    "losses -> sampling": ("losses/ect.py", "import vidcm.sampling", "Imports go down"),
    "models -> families": ("models/attention.py", "import vidcm.families", "Imports go down"),
    "families -> pipelines": ("families/motion.py", "import vidcm.pipelines", "Imports go down"),
    "pipelines -> interpolation": ("pipelines/__init__.py", "import vidcm.interpolation", "Imports go down"),
    "training -> evaluation": ("training/__init__.py", "import vidcm.evaluation", "Imports go down"),
    "training -> finetuning": ("training/__init__.py", "import vidcm.finetuning", "Imports go down"),
    "a room without a place": ("extra/__init__.py", "", "Imports go down"),
    "sampling -> numpy": ("sampling/__init__.py", "import numpy", "torch alone"),
    "losses -> diffusers, in a function": ("losses/ect.py", "def f():\n    import diffusers", "torch alone"),
    "media -> diffusers": ("media/__init__.py", "from diffusers.utils import logging", "diffusers is imported by"),
    "models -> diffusers": ("models/warp.py", "import diffusers", "diffusers is imported by"),
    "motion -> diffusers": ("families/motion.py", "def f():\n    import diffusers", "begins without diffusers"),
    "pipelines -> accelerate": ("pipelines/__init__.py", "import accelerate", "accelerate is imported by"),
    "data -> decord": ("data/__init__.py", "import decord", "decord is imported by"),
    "families -> xformers": ("families/__init__.py", "import xformers.ops", "xformers is imported by"),
    "pipelines -> peft": ("pipelines/__init__.py", "import peft", "peft is imported by"),
    "generation -> ray": ("generation/__init__.py", "import ray", "ray is imported by"),
}


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_forbidden_import_is_caught(tmp_path: Path, file: str, line: str, contract: str) -> None:
    target = tree_as_imported(tmp_path) / file
    target.parent.mkdir(exist_ok=True)
    with target.open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    broken = contracts_broken_by(tmp_path)
    assert re.search(rf"{contract}[^\n]* BROKEN", broken), broken


# --- the pages ---

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


def test_every_decision_is_in_the_index_and_is_headed_by_its_number() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(folder.glob("0*.md"))
    assert [page.name for page in pages if f"({page.name})" not in index] == []
    headings = {page.name[:4]: page.read_text(encoding="utf-8").partition("\n")[0] for page in pages}
    assert len(headings) == len(pages)  # no number is taken twice
    assert [head for number, head in headings.items() if not re.match(rf"# {number}: [A-Z]", head)] == []


def test_the_objective_in_the_guide_is_one(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "adding-an-objective.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "guide.py").write_text(code, encoding="utf-8")
    use = """
import guide, torch
from vidcm import losses
loss = losses.get("fixed-ratio")(ratio=0.5)
f = lambda x, angle: 0.3 * x
print(loss(f, torch.ones(3, 4, 1, 2, 2), stage=0, generator=torch.Generator().manual_seed(0)).shape)
"""
    used = run(sys.executable, "-c", use, cwd=tmp_path)
    assert used.stdout.strip() == "torch.Size([3])", used.stderr
