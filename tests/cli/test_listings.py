"""`vidcm doctor`, `models` and `objectives`: they tell what is there, and what is not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidcm import families, losses
from vidcm.cli import doctor, main, models
from vidcm.cli.model_path import ModelPath
from vidcm.core.shipped import shipped
from vidcm.families.motion import MotionFamily


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with one shipped model, in the place of the installed one."""
    folder = tmp_path / "assets" / "wave"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "WavePipeline"}))
    (folder / "weights.safetensors").write_bytes(bytes(3 * 2**20))
    monkeypatch.setattr(models, "ASSETS", tmp_path / "assets")
    return tmp_path


def run(*arguments: str) -> str:
    return CliRunner().invoke(main.cli, arguments, catch_exceptions=False).output


def test_every_objective_is_listed_with_its_source() -> None:
    lines = run("objectives").splitlines()
    assert [line.split()[0] for line in lines] == losses.available()
    assert all("arXiv" in line for line in lines)


def test_a_shipped_model_is_listed_with_its_pipeline_and_size(package: Path) -> None:
    output = run("models")
    assert "wave" in output
    assert "WavePipeline, 3.0 MiB of weights" in output
    assert str(package / "assets" / "wave") in output


def test_a_saved_family_is_listed_with_the_name_of_its_pipeline(package: Path) -> None:
    vae = {"latent_channels": 6, "condition_channels": 16, "local_channels": 8, "widths": [4, 8, 8, 16]}
    config = {"vae": vae, "dit": {"dim": 32, "depth": 2, "heads": 2}}
    MotionFamily.create(config).save(package / "assets" / "motion")
    for command in ("models", "doctor"):
        assert re.search(r"motion +FrameInterpolationPipeline, \d", run(command))


def test_every_family_is_listed_with_its_first_line() -> None:
    found = dict(models.known_families())
    assert list(found) == families.available()
    output = run("models").partition("Families:")[2]
    for name, summary in found.items():
        assert re.search(rf"  {name} +{re.escape(summary)}\n", output)


def test_the_doctor_tries_every_reader_and_attention_backend(package: Path) -> None:
    output = run("doctor")
    lines = {line.split()[1]: line.split() for line in output.splitlines() if line.startswith("  ")}
    assert lines["pyav"][0] == "ok"
    assert "4 frames" in output
    assert lines["decord"][0] in ("ok", "note")
    assert lines["sdpa"][0] == lines["math"][0] == "ok"
    assert lines["torch"][0] == "ok"
    assert lines["wave"][0] == "ok"


def test_the_doctor_says_in_a_few_words_that_xformers_cannot_serve(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "NotImplementedError: No operator found for `memory_efficient_attention_forward` with inputs:"
    monkeypatch.setattr("vidcm.models.attention.probe", lambda device: {"xformers": long, "sdpa": "ok"})
    line = next(line for line in run("doctor").splitlines() if "xformers on" in line)
    assert re.fullmatch(r"  note  xformers on cpu +not usable here \(NotImplementedError\); sdpa serves", line)


def test_the_doctor_fails_where_something_needed_does(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[doctor.Finding]:
        yield "ok", "this", "works"
        raise ImportError("libfar.so: cannot open\nshared object")

    monkeypatch.setitem(doctor.SECTIONS, "Readers", broken)
    answer = CliRunner().invoke(main.cli, ["doctor"])
    assert answer.exit_code == 1
    assert "fail  ImportError: libfar.so: cannot open\n" in answer.output
    assert "Attention:" in answer.output


def test_the_doctor_fails_without_a_shipped_model(package: Path) -> None:
    (package / "assets" / "wave" / "model_index.json").unlink()
    answer = CliRunner().invoke(main.cli, ["doctor"])
    assert answer.exit_code == 1
    assert "--model" in answer.output


def test_a_shipped_model_is_meant_by_its_name_unless_a_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = ModelPath()
    assert named.convert("clip", None, None) == shipped("clip")
    assert named.convert("mine", None, None) == Path("mine")
    assert named.convert("../assets", None, None) == Path("../assets")
    (tmp_path / "clip").mkdir()
    assert named.convert("clip", None, None) == Path("clip")
