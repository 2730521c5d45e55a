"""`vidcm evaluate generation`: what is certain of it, and a whole run on a tiny model."""

import json
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.families.tiny_video import write
from vidcm import families
from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.data.clips import Clip, ClipCache
from vidcm.evaluation import enough
from vidcm.evaluation import generation as room
from vidcm.evaluation.baselines import crossfade, hold
from vidcm.evaluation.generation import evaluate_generation, fill
from vidcm.evaluation.generation_config import GenerationConfig
from vidcm.families.grid import Grid

COUNT, SIDE = 5, 32


def drifting(seed: int, length: int = 30) -> np.ndarray:
    """Smooth random colours that drift by two pixels a frame, uint8 [length, 40, 48, 3]."""
    cells = np.random.default_rng(seed).integers(0, 255, (10, 60, 3), np.uint8)
    ground = np.kron(cells, np.ones((4, 4, 1), np.uint8))
    return np.stack([ground[:, 2 * i : 2 * i + 48] for i in range(length)])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    clips = []
    for seed, split in enumerate(("val", "val", "val", "val", "train")):
        frames, name = drifting(seed), f"clip{seed}"
        np.save(folder / f"{name}.npy", frames)
        instants = tuple(Fraction(i, 24) for i in range(len(frames)))
        clips.append(Clip(name, name, split, name, 0, 0, f"{name}.npy", frames.shape, 0, instants))
    ClipCache(folder, tuple(clips)).save()
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    sizes = {"vae": {"latent_channels": 4, "widths": [8, 16, 16]}, "dit": {"dim": 32, "depth": 2, "heads": 2}}
    families.get("clip").create(sizes).save(folder := tmp_path_factory.mktemp("models") / "clip")
    return folder


def config(model, **changes) -> GenerationConfig:
    options = {"model": str(model), "clips": 16, "num_frames": COUNT, "size": f"{SIDE}x{SIDE}", "device": "cpu"}
    return GenerationConfig(**{**options, "steps": 1, "sampler": "consistency", **changes})


class Oracle:
    """A model that makes what its two ends say: the clips of a scene that drifts evenly."""

    def __init__(self, clips):
        self.clips, self.asked = clips, 0
        self.family = SimpleNamespace(
            usual_clip=(COUNT, SIDE, SIDE),
            RATE=24,
            tokens=0,
            device=torch.device("cpu"),
            grid=Grid(4, 8),
        )
        self.family.images = lambda first, last, shape, batch, rate: {}

    def plan(self, sampler, steps):
        return "consistency", 2

    def __call__(self, prompts, *images, **_):
        some = [self.clips[(self.asked + i) % len(self.clips)].clip for i in range(len(prompts))]
        clips = torch.cat(some)
        assert all(torch.equal(image, clips[:, :, place]) for image, place in zip(images, (0, -1), strict=False))
        self.asked += len(prompts)
        return SimpleNamespace(frames=clips)


def test_a_model_that_makes_the_held_out_clips_has_no_distance_to_them_beyond_the_floor(dataset, monkeypatch):
    settings = config("none", batch=3)
    held = room.held_out(dataset, settings, room.ClipShape(COUNT, SIDE, SIDE, 24.0))
    monkeypatch.setattr(room, "load_pipe", lambda config: Oracle(held))
    result = evaluate_generation(dataset, settings)
    for given in ("none", "first", "ends"):
        scores = result["given"][given]["vidcm"]
        if given == "none":  # thinned to half: other clips than those of the floor, of the same law
            assert scores["sliced"]["value"] <= scores["sliced"]["floor"] + 2 * scores["sliced"]["deviation"]
        else:
            assert scores["sliced"]["value"] == scores["sliced"]["floor"]
            assert scores["psnr"] == 100
            hold_scores = result["given"][given]["hold"]
            assert hold_scores["sliced"]["value"] > scores["sliced"]["value"]  # it does not move
            assert hold_scores["psnr"] < 40
    assert set(result["given"]["ends"]) == {"vidcm", "hold", "crossfade"}
    assert result["protocol"]["clips"] == 16
    assert result["protocol"]["sources"] == 4


def test_baselines_fill_what_is_not_given():
    clip = torch.rand(1, 3, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    first, last = clip[:, :, 0], clip[:, :, -1]
    animated = fill(clip, "first", hold).float() / 255
    torch.testing.assert_close(animated, first[:, :, None].expand_as(clip), atol=1 / 255, rtol=0)
    between = fill(clip, "ends", crossfade).float() / 255
    for i in range(5):
        torch.testing.assert_close(between[:, :, i], torch.lerp(first, last, i / 4), atol=1 / 255, rtol=0)


def test_a_run_writes_a_table_and_json(dataset, model, tmp_path):
    words = [dataset, "--model", model, "--clips", 16, "--num-frames", COUNT, "--size", f"{SIDE}x{SIDE}"]
    words += [
        "--sampler",
        "consistency",
        "--steps",
        1,
        "--batch",
        8,
        "--device",
        "cpu",
        "--json",
        tmp_path / "scores.json",
    ]
    done = CliRunner().invoke(cli, ["evaluate", "generation", *map(str, words)])
    assert done.exit_code == 0, done.output
    for line in ("given none", "given first", "given ends", "crossfade", "floor", "sliced W."):
        assert line in done.stdout
    told = json.loads((tmp_path / "scores.json").read_text())
    assert told["protocol"]["size"] == f"{SIDE}x{SIDE}"
    scores = told["given"]["ends"]["vidcm"]
    assert scores["sliced"]["value"] > scores["sliced"]["floor"] > 0
    assert scores["psnr"] > 0
    assert scores["s_per_clip"] > 0


def test_a_model_that_takes_no_image_is_judged_without_one(dataset, tmp_path):
    folder = write("wan 2.1 t2v", tmp_path / "wan")
    result = evaluate_generation(dataset, config(folder, given=("none", "first")))
    assert set(result["given"]) == {"none"}
    assert "takes no image" in result["refused"]["first"]
    with pytest.raises(UserError, match="nothing to evaluate: given ends: this model takes no image"):
        evaluate_generation(dataset, config(folder, given=("ends",)))


WRONG = {
    "few clips": (["--num-frames", 29], 1, "an evaluation takes 16"),
    "a length": (["--num-frames", 6], 2, "(try 5 or 9)"),
    "too short": (["--num-frames", 4], 2, "4 is not in the range x>=5"),
    "clips": (["--clips", 4], 2, "clips must be at least 16"),
    "given": (["--given", "middle"], 2, "given must be of none, first, ends"),
    "size": (["--size", "big"], 2, "WxH in pixels"),
    "split": (["--split", "test"], 2, "must be val or train"),
}


@pytest.mark.parametrize(("words", "code", "told"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_one_line(dataset, model, words, code, told):
    sizes = [] if "--size" in words else ["--size", f"{SIDE}x{SIDE}"]
    done = CliRunner().invoke(cli, ["evaluate", "generation", *map(str, (dataset, "--model", model, *sizes, *words))])
    assert done.exit_code == code
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_split_with_nearly_all_clips_of_one_source_is_refused(dataset, model, monkeypatch):
    lopsided = [SimpleNamespace(source="a" if i else "b") for i in range(16)]
    monkeypatch.setattr(enough, "real_clips", lambda *_: lopsided)
    with pytest.raises(UserError, match=r"16 clips, of 2 sources, 15 of the largest, .* more than 3 of them outside"):
        room.held_out(dataset, config(model), room.ClipShape(COUNT, SIDE, SIDE, 24.0))


def test_too_few_clips_are_told_with_all_that_is_missing_and_a_way_that_helps(dataset, tmp_path):
    """Of one source no length of clips is short enough."""
    cache = ClipCache.open(dataset)
    shape, long = (room.ClipShape(count, SIDE, SIDE, 24.0) for count in (COUNT, 29))
    several = {clip.source for clip in cache.split("val")}
    with pytest.raises(UserError, match=f"of {len(several)} sources, .* other sources, or give a smaller --num-frames"):
        room.held_out(dataset, config("none"), long)
    one = [replace(clip, array=str(dataset / clip.array), source="take") for clip in cache.split("val")]
    train = [replace(clip, split="train") for clip in one]
    for number, clips in enumerate((one, [*one, *(replace(clip, source=clip.digest) for clip in train)])):
        folder = tmp_path / f"set{number}"
        folder.mkdir()
        ClipCache(folder, tuple(clips)).save()
        with pytest.raises(UserError, match=r"clips, of one source, .* from several sources") as refused:
            room.held_out(folder, config("none"), shape)
        assert "--num-frames" not in str(refused.value)
        assert ("take --split train if" in str(refused.value)) == bool(number)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path, model):
    with pytest.raises(UserError, match="is no dataset: run `vidcm prepare`"):
        evaluate_generation(tmp_path, config(model))
