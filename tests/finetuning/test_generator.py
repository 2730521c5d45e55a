"""Generators: which clips they are tuned on, how far made ones are from real ones, and a whole run on a tiny Wan."""

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from tests.families.tiny_video import write
from vidcm import families
from vidcm.cli.main import cli
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.shipped import shipped
from vidcm.data.clip import Clip
from vidcm.data.clips import ClipCache
from vidcm.evaluation.heldout import ClipShape, Held, real_clips
from vidcm.families.video import Grid
from vidcm.finetuning import generator
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.distance import Yardstick
from vidcm.finetuning.finished import forget
from vidcm.finetuning.run import finetune
from vidcm.finetuning.shape import choose_shape
from vidcm.pipelines import VideoGenerationPipeline

from .conftest import panning, write_dataset

LIKE_WAN = SimpleNamespace(RATE=16, grid=Grid(4, 16), usual_clip=(81, 480, 832))


def clips(*facts: tuple[int, int, int, int]) -> list[Clip]:
    """(frames, frames per second, height, width) each."""
    made = []
    for number, (frames, rate, height, width) in enumerate(facts):
        instants = tuple(Fraction(i, rate) for i in range(frames))
        made.append(Clip(str(number), "", "", "", 0, 0, "", (frames, height, width, 3), 0, instants))
    return made


def test_clips_are_as_long_as_most_scenes_and_as_large_as_the_model_is_used_to():
    train = clips((60, 32, 320, 568), (70, 32, 320, 568), (20, 16, 240, 240))
    shape = choose_shape(FinetuneConfig(), LIKE_WAN, train, clips((99, 16, 320, 568)))
    assert (shape.num_frames, shape.height, shape.width) == (29, 320, 544)  # 60 frames at 32 a second are 30 at 16
    shape = choose_shape(FinetuneConfig(), LIKE_WAN, clips((900, 16, 2160, 3840)), clips((900, 16, 64, 64)))
    assert (shape.num_frames, shape.height, shape.width) == (81, 480, 832)
    small = SimpleNamespace(RATE=24, grid=Grid(4, 8), usual_clip=(13, 64, 64))
    shape = choose_shape(FinetuneConfig(), small, clips((39, 24, 320, 568)), clips((39, 24, 320, 568)))
    assert (shape.num_frames, shape.height, shape.width) == (13, 64, 64)  # rather than 32x64, half of what it makes
    shape = choose_shape(FinetuneConfig(num_frames=17, size="96x64"), LIKE_WAN, train, train)
    assert (shape.num_frames, shape.height, shape.width) == (17, 64, 96)
    for wrong, told in (
        ({"num_frames": 16}, r"1 \+ a multiple of 4 for this VAE, got 16 \(try 13 or 17\)"),
        ({"num_frames": 1}, "num-frames must be at least 5 to be judged, got 1"),
        ({"size": "100x64"}, r"size must be multiples of 32 in training, got 100x64 \(try 96x64\)"),
    ):
        with pytest.raises(UserError, match=told):
            choose_shape(FinetuneConfig(**wrong), LIKE_WAN, train, train)


def held(frames: np.ndarray) -> Held:
    return Held(frames, "", "")


def test_the_distance_is_smaller_for_clips_that_move_alike():
    real = [held(panning(seed)) for seed in range(8)]
    yardstick = Yardstick(real[:4], real[4:])
    alike, still, blurred = (
        yardstick([torch.cat([change(one.clip)]) for one in real[4:]])
        for change in (
            lambda clip: clip,
            lambda clip: clip[:, :, :1].expand_as(clip),
            lambda clip: torch.nn.functional.avg_pool3d(clip, (1, 9, 9), 1, (0, 4, 4)),
        )
    )
    assert yardstick([one.clip for one in real[:4]])["sliced"] == pytest.approx(0, abs=1e-6)
    assert alike["sliced"] < min(still["sliced"], blurred["sliced"])
    assert alike["kernel"] < min(still["kernel"], blurred["kernel"])


@pytest.fixture
def filmed(tmp_path: Path) -> ClipCache:
    """Two clips to train on and one to judge by, 25 frames a second, with a caption each."""
    told = {"one": ("train", 0, 13), "two": ("train", 1, 13), "three": ("val", 2, 16)}
    folder = write_dataset(
        tmp_path / "set", {name: (split, panning(seed, n)) for name, (split, seed, n) in told.items()}
    )
    cache = ClipCache.open(folder)
    captions = {"one": "a red ball", "two": "the sand", "three": "a ball rolls"}
    ClipCache(folder, tuple(replace(clip, caption=captions[clip.file]) for clip in cache.clips)).save()
    return ClipCache.open(folder)


def test_real_clips_lie_evenly_and_show_the_middle_at_the_model_s_pace(filmed):
    shape = ClipShape(5, 64, 64, 12.5)
    found = real_clips(filmed, filmed.split("val"), shape, 3)
    assert [one.caption for one in found] == ["a ball rolls"] * 3
    frames = np.load(filmed.folder / "three.npy")
    wanted = [frames[start : start + 9 : 2, :, 16:96] for start in (1, 4, 6)]  # 8 places; a square of 80 in the middle
    for one, true in zip(found, wanted, strict=True):
        small = torch.nn.functional.interpolate(
            torch.from_numpy(true).permute(0, 3, 1, 2).float(), (64, 64), mode="area"
        )
        assert np.abs(one.frames_THWC - small.permute(0, 2, 3, 1).numpy()).mean() < 4


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FinetuneConfig:
    monkeypatch.setattr("vidcm.finetuning.clip_recipe.WORKERS", 0)
    sizes = {"steps": 4, "evaluations": 2, "windows": 4, "accumulate": 1, "size": "64x64", "num_frames": 5}
    model = str(write("wan 2.1 t2v", tmp_path / "wan"))
    return FinetuneConfig(model, patience=9, learning_rate=1e-2, device="cpu", precision="fp32", **sizes)


def test_a_generator_is_tuned_judged_and_reported(filmed, settings, tmp_path, monkeypatch):
    asked = []
    original = VideoGenerationPipeline.__call__

    def noted(pipe, prompt=None, *rest, **told):
        asked.append((prompt, told["sampler"], told["num_inference_steps"], told["seed"]))
        return original(pipe, prompt, *rest, **told)

    monkeypatch.setattr(VideoGenerationPipeline, "__call__", noted)
    distances = iter([2.0, 1.5, 1.7])
    monkeypatch.setattr(generator.GeneratorSubject, "headline", lambda self, found: -next(distances))
    run = tmp_path / "run"
    done = finetune(filmed.folder, run, settings)
    assert asked[:4] == [("a ball rolls", "consistency", 2, seed) for seed in range(4)]
    marks = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [(mark["part"], mark["step"]) for mark in marks] == [("start", 0), ("network", 2), ("network", 4)]
    assert (done.after.step, done.gain) == (2, pytest.approx(0.5))
    text = (run / "report.md").read_text()
    assert "**Nearer: 2.000 to 1.500**" in text
    assert {"val", "real training clips"} <= {line.split("|")[1].strip() for line in text.splitlines() if "|" in line}
    assert "--reference DATASET" in text
    for name in re.findall(r"\]\(([^)]+)\)", text):
        assert (run / name).is_file(), name
    before, after = (families.get("wan").load(place) for place in (settings.model, done.best))
    assert not torch.equal(before.transformer.proj_out.weight, after.transformer.proj_out.weight)
    assert torch.equal(before.vae.quant_conv.weight, after.vae.quant_conv.weight)
    assert VideoGenerationPipeline.from_pretrained(done.best).plan() == ("consistency", 2)


def test_a_lora_run_resumes_to_the_same_factors_and_generates(filmed, settings, tmp_path):
    pytest.importorskip("peft")
    settings = replace(settings, lora=2)
    best = {}
    for name, legs in (("whole", [4]), ("legs", [2, 4])):
        for steps in legs:
            config = None if steps != legs[0] else replace(settings, steps=4)
            with pytest.MonkeyPatch.context() as patch:
                if steps == 2:  # ends after the first validation
                    patch.setattr("vidcm.finetuning.history.History.idle", lambda *_: 9)
                finetune(filmed.folder, tmp_path / name, config, resume=config is None)
            if steps == 2:
                forget(tmp_path / name)  # as if it had been killed just before
        best[name] = load_file(tmp_path / name / "1-network" / "model" / "pytorch_lora_weights.safetensors")
    assert all(torch.equal(tensor, best["legs"][name]) for name, tensor in best["whole"].items())
    out = tmp_path / "out.mp4"
    words = ["-o", out, "--model", tmp_path / "whole" / "best", "--prompt", "a ball", "--size", "64x64"]
    words += ["--num-frames", 5, "--steps", 2, "--device", "cpu"]
    made = CliRunner().invoke(cli, ["generate", *map(str, words)])
    assert made.exit_code == 0, made.output


def test_where_nothing_is_gained_the_best_is_the_model_as_it_was(filmed, settings, tmp_path, monkeypatch):
    pytest.importorskip("peft")
    distances = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(generator.GeneratorSubject, "headline", lambda self, found: -next(distances))
    done = finetune(filmed.folder, tmp_path / "run", replace(settings, lora=2))
    assert "**Nothing gained.**" in done.report.read_text()
    pipes = [VideoGenerationPipeline.from_pretrained(place) for place in (settings.model, done.best)]
    for pipe in pipes:
        pipe.set_progress_bar_config(disable=True)
    assert [pipe.plan() for pipe in pipes] == [("ode", 50)] * 2
    one, two = (pipe("a ball", num_frames=5, height=64, width=64, num_inference_steps=1).frames for pipe in pipes)
    torch.testing.assert_close(one, two)


def test_a_model_with_two_uses_is_judged_by_both(filmed, tmp_path, monkeypatch):
    """It is given a clip's first frame, then its last one, too, which made clips show; the mean distance decides."""
    monkeypatch.setattr("vidcm.finetuning.clip_recipe.WORKERS", 0)
    config = {"vae": {"latent_channels": 4, "widths": [8, 16, 16]}, "dit": {"dim": 32, "depth": 1, "heads": 2}}
    made, model = families.get("clip").create(config), tmp_path / "clip"
    made.teacher = made.transformer
    made.save(model)
    settings = FinetuneConfig(str(model), windows=4, size="64x64", num_frames=5, device="cpu", precision="fp32")
    subject = generator.GeneratorSubject(settings, filmed, model)
    asked = []
    original = VideoGenerationPipeline.__call__

    def noted(pipe, prompt, *images, **told):
        asked.append([image is not None for image in images])
        return original(pipe, prompt, *images, **told)

    monkeypatch.setattr(VideoGenerationPipeline, "__call__", noted)
    found = subject.judge(model, lambda _: None)
    assert asked == [[True, False], [True, True]] * 4
    assert subject.aims == ("val first", "val ends") == tuple(found)
    distances = [scores["sliced"] for scores in found.values()]
    assert distances[1] < distances[0]
    assert subject.headline(found) == -sum(distances) / 2
    assert subject.use(tmp_path / "best").endswith("--image PICTURE")


WRONG = {
    "parts": (["--parts", "motion"], 2, "parts: only the motion model has some, leave it out"),
    "length": (["--num-frames", "16"], 2, "must be 1 + a multiple of 4 for this VAE, got 16"),
    "too long": (["--num-frames", "13"], 1, "set has 0 training clips of 13 frames of 64x64"),
    "size": (["--size", "64"], 2, "size must be WxH in pixels such as 832x480, got '64'"),
    "objective": (["--objective", "diffusion"], 2, "unknown objective 'diffusion'"),
    "reference": (["--reference", "."], 2, "the reference . must be a dataset of vidcm prepare"),
    "shard": (["--shard", "--lora", "2"], 2, "shard: with lora only small factors are trained"),
}


@pytest.mark.parametrize(("words", "code", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_tuned_is_told_in_one_line(words, code, told, filmed, tmp_path, monkeypatch):
    write("wan 2.1 t2v", tmp_path / "wan")
    monkeypatch.chdir(tmp_path)
    size = [] if "--size" in words else ["--size", "64x64"]
    asked = ["finetune", "set", "-o", "run", "--model", "wan", "--device", "cpu", *size, *words]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == code
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_prompt_that_the_model_does_not_read_leaves_no_run_behind(filmed, tmp_path):
    with pytest.raises(WrongUse, match="prompt: family clip reads no text, leave it out"):
        finetune(filmed.folder, tmp_path / "run", FinetuneConfig(str(shipped("clip")), prompt="a ball", device="cpu"))
    assert not (tmp_path / "run").exists()


def test_what_is_for_generators_is_refused_for_the_motion_model(filmed, model, tmp_path):
    for name, value in (("lora", 4), ("num_frames", 17), ("size", "64x64"), ("prompt", "a ball")):
        with pytest.raises(WrongUse, match=rf"{name.replace('_', '-')} is for generators"):
            finetune(filmed.folder, tmp_path / "run", FinetuneConfig(str(model), **{name: value}))
