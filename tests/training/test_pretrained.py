"""`vidcm train` on the pretrained families: the network is tuned, all else stays, the stock pipeline reads it."""

from fractions import Fraction

import diffusers
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

from tests.families.tiny_video import VARIANTS, pictures, write
from vidcm.cli.main import cli
from vidcm.core.circle import per_sample
from vidcm.core.cost import Operations
from vidcm.core.errors import UserError
from vidcm.data.clips import Clip, ClipCache
from vidcm.families.wan import WanFamily
from vidcm.pipelines import VideoGenerationPipeline
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig
from vidcm.training.start import settle_teacher

TUNED = ("wan 2.1 t2v", "wan 2.2 i2v", "ltx, text", "cogvideox 5b")


@pytest.fixture
def settings(tmp_path):
    """A config over a cache of two clips of drifting noise; nine frames in a row are a clip for every VAE."""
    noise = np.random.default_rng(0).integers(0, 255, (80, 112, 3), np.uint8)
    frames = np.stack([np.roll(noise, 2 * i, axis=1) for i in range(10)])
    (tmp_path / "cache").mkdir()
    clips = []
    for name in ("one", "two"):
        np.save(tmp_path / "cache" / f"{name}.npy", frames)
        instants = tuple(Fraction(i, 25) for i in range(len(frames)))
        clips.append(Clip(name, name, "train", name, 0, 0, f"{name}.npy", frames.shape, 0, instants))
    ClipCache(tmp_path / "cache", tuple(clips)).save()
    data = {"cache": str(tmp_path / "cache"), "workers": 0, "batch_size": 2, "crop": [64, 64]}
    data |= {"between": {7: 1.0}, "gaps": {8: 1.0}, "absent": 0, "synthetic": 0}
    run = {"stage": "ect", "device": "cpu", "precision": "fp32", "steps": 2, "prompt": "a red ball", "data": data}
    run |= {"latents": {"samples": 4, "shard": 4}, "optimizer": {"lr": 1e-2, "warmup": 0}, "ema": {"decay": 0.1}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    return tmp_path / "run.yaml"


def vidcm_train(settings, *words):
    return CliRunner().invoke(cli, ["train", str(settings), *map(str, words)])


@pytest.mark.parametrize("name", TUNED)
def test_tuning_moves_the_network_and_nothing_else(name, settings, tmp_path):
    variant, folder = VARIANTS[name], write(name, tmp_path / "stock")
    out = tmp_path / "tuned"
    done = vidcm_train(settings, f"family={variant.family}", f"init={folder}", f"out={out}")
    assert done.exit_code == 0, done.output
    before, after = (diffusers.DiffusionPipeline.from_pretrained(path) for path in (folder, out / "model"))
    for part in ("vae", "text_encoder"):
        old, new = (getattr(pipe, part).state_dict() for pipe in (before, after))
        assert all(torch.equal(value, new[key]) for key, value in old.items())
    moved = []
    for part in ("transformer", "transformer_2"):  # of two, those whose noise levels were drawn
        if (old := getattr(before, part, None)) is not None:
            pairs = zip(old.parameters(), getattr(after, part).parameters(), strict=True)
            moved += [not torch.equal(*pair) for pair in pairs]
    assert any(moved)
    pipe = VideoGenerationPipeline.from_pretrained(out / "model")
    pipe.set_progress_bar_config(disable=True)
    assert pipe.plan() == ("consistency", 2)
    image = pictures(variant.images, 64, 64)
    made = pipe("a red ball", *image, num_frames=9, height=64, width=64).frames
    assert made.shape == (1, 3, 9, 64, 64)
    assert made.isfinite().all()


def test_the_condition_is_that_of_the_prompt_and_of_the_clip_itself(tmp_path):
    family = WanFamily.load(write("wan 2.2 i2v", tmp_path / "stock"))
    family.prompt = "a red ball"
    frames = torch.stack([torch.cat(pictures(5, 32, 48)), torch.cat(pictures(5, 32, 48)).flip(0)]).transpose(1, 2)
    ends = {"first": frames[:, :, 0], "last": frames[:, :, -1], "frames": frames[:, :, 1:-1]}
    batch = {**ends, "first_present": torch.ones(2, dtype=torch.bool), "last_present": torch.ones(2, dtype=torch.bool)}
    x0, condition = family.encode(batch, generator=torch.Generator().manual_seed(0))
    assert x0.shape == (2, *family.latent_shape(5, 32, 48))
    alone = family.images(frames[1:, :, 0], None, (5, 32, 48), 1, 16.0)["given"]
    torch.testing.assert_close(condition["given"][1:], alone)
    torch.testing.assert_close(condition["text"][1:], family.text(["a red ball"])[0]["text"])
    without = family.unconditional(condition)
    torch.testing.assert_close(without["text"][:1], family.text([""])[0]["text"])
    assert torch.equal(without["given"], condition["given"])
    x = torch.randn_like(x0)
    f = family.denoiser(condition)
    assert torch.equal(f(x, per_sample(0.0, x)), x)
    with pytest.raises(UserError, match=r"data\.absent must be 0"):
        family.encode({**batch, "last_present": torch.tensor([True, False])}, generator=torch.Generator())


def test_each_clip_is_told_by_its_own_caption(tmp_path):
    family = WanFamily.load(write("wan 2.1 t2v", tmp_path / "stock"))
    family.prompt, family.captions = "grey sand", ("", "a red ball", "the ball rolls")
    frames = torch.cat(pictures(4, 32, 48)).view(2, 2, 3, 32, 48).transpose(1, 2)
    ends = {"first": frames[:, :, 0], "last": frames[:, :, 1], "frames": frames[:, :, :1].expand(-1, -1, 3, -1, -1)}
    here = {f"{end}_present": torch.ones(2, dtype=torch.bool) for end in ("first", "last")}
    batch = {**ends, **here, "caption": torch.tensor([2, 0])}
    _, condition = family.encode(batch, generator=torch.Generator().manual_seed(0))
    wanted = family.text(["the ball rolls", "grey sand"])[0]["text"]
    torch.testing.assert_close(condition["text"], wanted)
    _, one_for_all = family.encode({**ends, **here}, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one_for_all["text"], family.text(["grey sand"] * 2)[0]["text"])


@pytest.mark.parametrize(("stage", "copies"), [("ect", 0), ("ict", 0), ("cd", 1)])
def test_only_an_objective_that_asks_for_a_teacher_has_a_copy_of_the_network(stage, copies, tmp_path):
    family = WanFamily.load(write("wan 2.1 t2v", tmp_path / "stock"))
    settle_teacher(from_mapping(RunConfig, {"stage": stage, "family": "wan"}), family)
    networks = [module for module in family.modules() if type(module) is type(family.transformer)]
    assert len(networks) == 1 + copies
    family.save(tmp_path / "tuned")
    assert WanFamily.load(tmp_path / "tuned").consistency is not None


def test_checkpointing_and_bf16_lower_memory_and_keep_the_gradient(tmp_path):
    """Of a forward and a backward pass, as their storages live and die."""
    folder = write("wan 2.1 t2v", tmp_path / "stock")
    shape, found = (17, 96, 128), {}
    for bf16, checkpointing in ((False, False), (False, True), (True, True)):
        family = WanFamily.load(folder)
        if checkpointing:
            family.checkpoint_gradients()
        network = family.trainable("ect").requires_grad_(True).train()
        condition = {name: value.clone() for name, value in family.said("a red ball", 1).items()}
        x = torch.randn(1, *family.latent_shape(*shape), generator=torch.Generator().manual_seed(0))
        with Operations() as seen, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            family.denoiser(condition)(x, per_sample(1.0, x)).float().square().mean().backward()
        found[bf16, checkpointing] = seen.peak, torch.cat([weight.grad.flatten() for weight in network.parameters()])
    (plain, gradient), (kept, same), (half, close) = found.values()
    torch.testing.assert_close(same, gradient, rtol=1e-4, atol=1e-6)
    assert (close - gradient).norm() < 0.05 * gradient.norm()
    assert kept < 0.8 * plain
    assert half < kept


WRONG = {
    "no weights": (["family=wan"], 2, "init= must name"),
    "a VAE": (["family=wan", "stage=vae", "latents.samples=0"], 2, "stays as it is"),
    "frames": (["family=wan", "data.between={2: 1.0}"], 2, r"1 + a multiple of 4 for this VAE, got 4 (try 1 or 5)"),
    "another family": (["family=ltx"], 1, "choose the family that fits"),
}


@pytest.mark.parametrize(("words", "code", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_tuned_is_told_in_one_line(settings, tmp_path, words, code, told):
    init = [] if told == "init= must name" else [f"init={write('wan 2.1 t2v', tmp_path / 'stock')}"]
    done = vidcm_train(settings, *words, *init, f"out={tmp_path / 'out'}")
    assert done.exit_code == code
    assert told in done.stderr.splitlines()[-1]
