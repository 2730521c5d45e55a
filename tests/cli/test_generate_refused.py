"""`vidcm generate` used wrongly, or with pictures that are none: told before torch is imported, and nothing written."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidcm.core.shipped import ASSETS

CODE = """
import io, json, sys
from contextlib import redirect_stderr
from vidcm.cli.main import cli
for words in json.loads(sys.argv[1]):
    with redirect_stderr(io.StringIO()) as told:
        try: cli(words)
        except SystemExit as ended: code = ended.code
    print(json.dumps([code, told.getvalue(), sorted({"torch", "diffusers", "av"} & set(sys.modules))]))
"""
ENDS = ["--image", "a.png", "--last-image", "a.png"]
WAN = ["--model", "wan", "--prompt", "x"]
WRONG = {
    "no such image": (["--image", "b.png"], 2, "--image b.png is not there"),
    "a folder as image": (["--image", "."], 2, "--image . is not there"),
    "no image": (["--image", "text.png"], 1, "text.png is not an image that can be read"),
    "frames of clip": (["--num-frames", "7"], 2, "--num-frames must be 1 + a multiple of 4 for this VAE, got 7 (try 5"),
    "a size of clip": (["--size", "33x64"], 2, "multiples of 8 for this model, got 33x64 (try 32x64)"),
    "a smaller one": (["--size", "16x16"], 2, "--size must be at least 32x32"),
    "far ahead": (
        ["--model", "motion", "--image", "a.png", "--num-frames", "9"],
        2,
        "sees 8 frames ahead of one image",
    ),
    "nothing between": ([*ENDS, "--num-frames", "2"], 2, "--num-frames must be at least 3 for this model and images"),
    "a prompt": (["--prompt", "x"], 2, "read no text"),
    "guidance": (["--image", "a.png", "--guidance", "3"], 2, "has no guidance"),
    "two networks of one": (
        ["--image", "a.png", "--guidance-2", "3"],
        2,
        "--guidance-2 is for a model of two networks",
    ),
    "frames of a folder": ([*WAN, "--num-frames", "7"], 2, "1 + a multiple of 4 for this VAE, got 7 (try 5 or 9)"),
    "a size of a folder": ([*WAN, "--size", "50x32"], 2, "multiples of 16 for this model, got 50x32 (try 48x32)"),
    "two networks of a folder": ([*WAN, "--guidance-2", "3"], 2, "--guidance-2 is for a model of two networks"),
    "nothing to go by": (["--model", "wan"], 2, "give a prompt or an image"),
    "no such model": (["--model", "nowhere", "--prompt", "x"], 2, "nowhere does not exist"),
    "a rate": (["--fps", "0"], 2, "--fps must be above 0"),
    "a seed": (["--seed", "-1"], 2, "--seed must be 0 to 2^63 - 1"),
    "takes past the last seed": (["--seed", str(2**63 - 1), "--takes", "2"], 2, "--seed must be 0 to 2^63 - 1"),
    "no manifest": (["--batch", "jobs.jsonl"], 2, "cannot read the manifest jobs.jsonl"),
    "an image over all": (["--batch", "jobs.jsonl", "--image", "a.png"], 2, "is for one clip"),
    "a place": (["--on", "ray"], 2, "--on ray is for many jobs"),
}
OF_DOCTOR = {
    "an unknown model": (["--model", "nowhere"], 2, "nowhere is neither a model directory nor one of: cogvideox-2b"),
    "frames": (["--model", "wan2.1-1.3b", "--num-frames", "7"], 2, "got 7 (try 5 or 9)"),
    "a size": (
        ["--model", "wan2.1-1.3b", "--size", "50x32"],
        2,
        "multiples of 16 for this model, got 50x32 (try 48x32)",
    ),
}


def folder_of(name: str, folder: Path) -> Path:
    """What tells of a published model in a directory of it, without the weights."""
    told = json.loads((ASSETS / "published" / f"{name}.json").read_text(encoding="utf-8"))
    for part, config in told.items():
        file = folder / "model_index.json" if part == "model_index" else folder / part / "config.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """Of each wrong use: exit code, what is told, and what was imported for it, or one before. Nothing is left."""
    place = tmp_path_factory.mktemp("refused")
    cv2.imwrite(str(place / "a.png"), np.zeros((32, 32, 3), np.uint8))
    (place / "text.png").write_text("no picture")
    folder_of("wan2.1-1.3b", place / "wan")
    before = sorted(place.rglob("*"))
    asked = {kind: ["generate", "-o", "out.mp4", *words] for kind, (words, _, _) in WRONG.items()}
    asked |= {f"doctor: {kind}": ["doctor", *words] for kind, (words, _, _) in OF_DOCTOR.items()}
    command = [sys.executable, "-c", CODE, json.dumps(list(asked.values()))]
    run = subprocess.run(command, capture_output=True, text=True, cwd=place, check=True)
    assert sorted(place.rglob("*")) == before
    return dict(zip(asked, map(json.loads, run.stdout.splitlines()), strict=True))


ALL = WRONG | {f"doctor: {kind}": told for kind, told in OF_DOCTOR.items()}


@pytest.mark.parametrize("kind", ALL)
def test_wrong_use_is_told_in_one_line_without_torch(kind: str, answers: dict[str, tuple[int, str, list[str]]]) -> None:
    _, code, told = ALL[kind]
    ended, said, imported = answers[kind]
    assert ended == code
    assert told in said
    assert said.count("\n") == 1
    assert imported == []
