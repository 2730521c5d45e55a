"""LoRA on the pretrained families: the stock pipeline reads it, the teacher is the network without it, it learns."""

import copy
import json
import math
from pathlib import Path

import diffusers
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from tests.families.tiny_video import VARIANTS, pictures, wan, write
from vidcm import families
from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.families import adapter
from vidcm.families.wan import WanFamily
from vidcm.losses.ect import ECTLoss
from vidcm.pipelines import VideoGenerationPipeline
from vidcm.sampling.consistency import consistency
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig
from vidcm.training.loop import train
from vidcm.training.start import open_family, part_to_train, settle_teacher
from vidcm.training.step import StageLoss, loss_function

pytest.importorskip("peft")

TUNED = ("wan 2.1 i2v", "wan 2.2 i2v", "ltx, text", "cogvideox 5b")
SHAPE = (9, 64, 64)


class LatentRows:
    """Endless batches of x0 drawn around a few latents, keyed by their number, under one condition."""

    def __init__(self, centres: torch.Tensor, condition: dict, size: int = 4, spread: float = 0.0):
        self.centres, self.condition, self.size, self.spread = centres, condition, size, spread

    def iterate(self, start: int = 0):
        while True:
            generator = torch.Generator().manual_seed(start)
            chosen = torch.randint(len(self.centres), (self.size,), generator=generator)
            noise = torch.randn(self.size, *self.centres.shape[1:], generator=generator)
            told = {name: value[:1].expand(self.size, *value.shape[1:]) for name, value in self.condition.items()}
            yield {"x0": self.centres[chosen] + self.spread * noise, "condition": told}
            start += 1


def run_config(family: str, init: Path | str, out: Path | str = "none", **changes) -> RunConfig:
    base = {"stage": "ect", "device": "cpu", "precision": "fp32", "steps": 2, "lora": 2, "family": family}
    base |= {"optimizer": {"lr": 1e-2, "warmup": 0, "schedule": "constant"}, "ema": {"kind": "none"}}
    return from_mapping(RunConfig, {**base, "init": str(init), "out": str(out), **changes})


def rows_for(family, name: str) -> LatentRows:
    variant = VARIANTS[name]
    images = [*pictures(variant.images, *SHAPE[1:]), None, None][:2]
    with torch.no_grad():
        condition = {**family.said("a red ball", 1), **family.images(*images, SHAPE, 1, float(family.RATE))}
    centres = torch.randn(2, *family.latent_shape(*SHAPE), generator=torch.Generator().manual_seed(1))
    return LatentRows(centres, condition, size=2)


def tune(name: str, tmp_path: Path, **changes) -> tuple[Path, Path]:
    """(base directory, tuned directory) of a variant."""
    base, variant = write(name, tmp_path / "base"), VARIANTS[name]
    config = run_config(variant.family, base, tmp_path / "run", **changes)
    family = open_family(config)
    return base, train(config, family=family, batches=rows_for(family, name))


def x0_of(family, rows: LatentRows) -> list[torch.Tensor]:
    """Estimates near the data and near pure noise: each of two networks answers once."""
    x = rows.centres[:1]
    with torch.no_grad():
        f = family.denoiser(rows.condition)
        return [f(x, x.new_full((1, 1, 1, 1, 1), angle)) for angle in (0.3, 1.55)]


def realign(network):
    """Weights of the stock pipeline lie in mapped files, off the alignment that ours have: the last bit may differ."""
    for weight in network.parameters():
        weight.data = weight.data.clone()


@pytest.mark.parametrize("name", TUNED)
def test_the_stock_pipeline_reads_the_adapter_and_merging_changes_nothing(name, tmp_path):
    kind = families.get(VARIANTS[name].family)
    base, model = tune(name, tmp_path, objective={"p_mean": 2.0})  # of two networks, both are asked
    assert not (model / "transformer").exists()
    ours, bare = kind.load(model), kind.load(base)
    rows = rows_for(bare, name)
    tuned, untuned = x0_of(ours, rows), x0_of(bare, rows)
    assert not any(torch.allclose(*pair, atol=1e-3) for pair in zip(tuned, untuned, strict=True))

    stock = diffusers.DiffusionPipeline.from_pretrained(base)
    stock.load_lora_weights(model)
    if len(ours.networks) > 1:
        stock.load_lora_weights(model, weight_name=adapter.weight_name(1), load_into_transformer_2=True)
    bare.transformer, bare.transformer_2 = stock.transformer, getattr(stock, "transformer_2", None)
    for network in bare.networks:
        realign(network)
    for mine, theirs in zip(tuned, x0_of(bare, rows), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)

    ours.merge().save(tmp_path / "merged")
    merged = kind.load(tmp_path / "merged")
    assert not any("lora" in key for key in merged.transformer.state_dict())
    for mine, theirs in zip(tuned, x0_of(merged, rows), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)  # (W + BA) x against W x + B (A x), in float32
    assert diffusers.DiffusionPipeline.from_pretrained(tmp_path / "merged").transformer is not None


@pytest.mark.parametrize("name", ["wan 2.2 i2v", "ltx, text", "cogvideox 5b"])
def test_base_and_adapter_make_a_clip_in_two_steps_and_are_saved_as_they_were_read(name, tmp_path):
    _, model = tune(name, tmp_path)
    pipe = VideoGenerationPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    assert pipe.plan() == ("consistency", 2)
    frames, height, width = SHAPE
    images = pictures(VARIANTS[name].images, height, width)
    made = pipe("a red ball", *images, num_frames=frames, height=height, width=width).frames
    assert made.shape == (1, 3, *SHAPE)
    pipe.save_pretrained(tmp_path / "copy")
    for file in model.rglob("*"):
        if file.is_file():
            assert (tmp_path / "copy" / file.relative_to(model)).read_bytes() == file.read_bytes()


def test_the_command_line_generates_with_an_adapter(tmp_path):
    _, model = tune("wan 2.1 t2v", tmp_path)
    words = ["-o", tmp_path / "out.mp4", "--model", model, "--prompt", "a ball", "--size", "48x32", "--num-frames", 5]
    done = CliRunner().invoke(cli, ["generate", *map(str, words), "--device", "cpu"], prog_name="vidcm")
    assert done.exit_code == 0, done.output
    assert "in 2 steps" in done.stdout


def prepared(config: RunConfig, **options):
    """(family, what is trained, its loss) as a run has them before its first step."""
    family = open_family(config)
    settle_teacher(config, family)
    trained = part_to_train(config.stage, family, torch.device("cpu"))
    for i, weight in enumerate(trained.parameters()):  # B = 0 would hide what the adapter does
        torch.nn.init.normal_(weight, std=0.2, generator=torch.Generator().manual_seed(i))
    compute, aides = loss_function(config, family, trained)
    return family, trained, StageLoss(trained, aides, compute, bf16=config.precision == "bf16"), aides


def gradients(loss_module, trained, batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    loss, _ = loss_module(batch, torch.Generator().manual_seed(3), samples_seen=0, stage=0)
    loss.mean().backward()
    return loss.detach(), [weight.grad for weight in trained.parameters()]


@pytest.mark.parametrize("name", ["wan 2.1 t2v", "wan 2.2 i2v"])
def test_the_teacher_is_the_base_without_a_copy_and_the_target_has_factors_of_its_own(name, tmp_path):
    base = write(name, tmp_path / "base")
    config = run_config("wan", base, stage="cd", objective={"times": 8})
    family, trained, loss, aides = prepared(config)
    rows = rows_for(family, name)
    batch = next(rows.iterate())
    assert not list(family.teacher.parameters())
    base_size = sum(weight.numel() for network in family.networks for weight in network.parameters())
    held = {id(weight): weight.numel() for weight in (*loss.parameters(), *aides.parameters())}
    assert sum(held.values()) < base_size  # the factors twice, and no network
    found = gradients(loss, trained, batch)

    plain = WanFamily.load(base)
    angle = torch.full((1, 1, 1, 1, 1), 1.4)
    x, condition = rows.centres[:1], rows.condition
    teacher = family.denoiser(condition, family.teacher)(x, angle)
    torch.testing.assert_close(teacher, plain.denoiser(condition)(x, angle), rtol=0, atol=0)

    with torch.no_grad():  # the target is a function of its own factors, the student of its own
        student, target = (family.denoiser(condition, net)(x, angle) for net in (None, aides.target))
        torch.testing.assert_close(student, target, rtol=0, atol=0)
        for weight in aides.target.parameters():
            weight.zero_()
        silent = family.denoiser(condition, aides.target)(x, angle)
        torch.testing.assert_close(silent, teacher)
        assert torch.equal(student, family.denoiser(condition)(x, angle))
    family.teacher = copy.deepcopy(plain.trainable(""))  # the same step with a teacher of its own
    trained.zero_grad(set_to_none=True)
    for weight, mine in zip(aides.target.parameters(), trained.parameters(), strict=True):
        weight.data.copy_(mine.data)
    for mine, theirs in zip(gradients(loss, trained, batch)[1], found[1], strict=True):
        if theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["wan 2.1 t2v", "ltx, text", "cogvideox 5b"])
def test_checkpointed_gradients_are_the_same(name, tmp_path):
    base, kind = write(name, tmp_path / "base"), VARIANTS[name].family
    found = []
    for checkpointing in (False, True):
        config = run_config(kind, base, gradient_checkpointing=checkpointing)
        family, trained, loss, _ = prepared(config)
        assert family.transformer.gradient_checkpointing is checkpointing
        found.append(gradients(loss, trained, next(rows_for(family, name).iterate())))
    torch.testing.assert_close(*found)
    assert all(gradient.any() for gradient in found[0][1])


def test_in_bf16_the_base_takes_two_bytes_a_weight_and_the_factors_four(tmp_path):
    base, model = tune("cogvideox 5b", tmp_path, precision="bf16", gradient_checkpointing=True)
    config = run_config("cogvideox", base, precision="bf16")
    family, trained, _, _ = prepared(config)
    assert {weight.dtype for weight in trained.parameters()} == {torch.float32}
    others = {weight.dtype for name, weight in family.transformer.named_parameters() if ".lora_" not in name}
    assert others == {torch.bfloat16}
    factors = load_file(model / adapter.weight_name(0))
    assert {weight.dtype for weight in factors.values()} == {torch.float32}
    assert all(weight.isfinite().all() for weight in factors.values())


def test_a_resumed_run_ends_with_the_same_adapter(tmp_path):
    name, base = "wan 2.1 t2v", write("wan 2.1 t2v", tmp_path / "base")
    models = []
    for out, legs in (("whole", [4]), ("legs", [2, 4])):
        for steps in legs:
            config = run_config("wan", base, tmp_path / out, steps=steps, save_every=2)
            family = open_family(config)
            models.append(train(config, family=family, batches=rows_for(family, name), resume=steps != legs[0]))
    whole, resumed = (load_file(model / adapter.weight_name(0)) for model in (models[0], models[-1]))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def two_step_distance(family, rows: LatentRows) -> float:
    """Mean distance, per dimension, from samples of two steps to the nearest of the centres that the data are."""
    noise = torch.randn(2, 16, *rows.centres.shape[1:], generator=torch.Generator().manual_seed(9))
    condition = {name: value[:1].expand(16, *value.shape[1:]) for name, value in rows.condition.items()}
    with torch.no_grad():
        f = family.denoiser(condition)
        made = consistency(
            lambda x, angle: f(x, angle).float(),
            noise[0],
            angles=(1.56, math.atan(1.6)),
            renoise=lambda i: noise[1],
            temperature=1.0,
        )
    distance = torch.cdist(made.flatten(1), rows.centres.flatten(1)) / rows.centres[0].numel() ** 0.5
    return distance.min(dim=1).values.mean().item()


def inconsistency(family, rows: LatentRows, objective: ECTLoss) -> float:
    """The objective at one gap, whatever the curriculum's, over eight fixed batches."""
    found = []
    for seed, batch in zip(range(8), rows.iterate(1000), strict=False):
        f = family.denoiser(batch["condition"])
        with torch.no_grad():
            loss = objective(f, batch["x0"], stage=2, generator=torch.Generator().manual_seed(seed))
        found.append(loss.mean().item())
    return sum(found) / len(found)


def test_pretrained_then_tuned_the_loss_and_the_distance_of_two_steps_fall(tmp_path):
    torch.manual_seed(0)
    wan().save_pretrained(tmp_path / "random")
    family = WanFamily.load(tmp_path / "random")
    greys = torch.tensor([[1.0, 1, -1, -1], [-1, -1, 1, 1]])[:, :, None, None, None]  # in each channel one of two
    rows = LatentRows(greys.expand(2, *family.latent_shape(5, 32, 32)), family.said("a red ball", 1), size=8)
    learning = {"optimizer": {"lr": 1e-2, "warmup": 10, "schedule": "constant"}}
    first = {"stage": "diffusion", "lora": None, "steps": 160, **learning}
    pretrained = train(run_config("wan", "", tmp_path / "first", **first), family=family, batches=rows)
    objective = {"p_mean": 0.8, "p_std": 1.5}
    tuning = {"steps": 150, "lora": 16, "samples_per_stage": 300, "last_stage": 2, "objective": objective}
    learning["optimizer"]["schedule"] = "cosine"
    config = run_config("wan", pretrained, tmp_path / "second", **tuning, **learning)
    tuned = train(config, family=open_family(config), batches=rows)

    models = [WanFamily.load(folder) for folder in (pretrained, tuned)]
    before, after = (inconsistency(each, rows, ECTLoss(**objective)) for each in models)
    assert after < 0.92 * before
    before, after = (two_step_distance(each, rows) for each in models)
    assert after < 0.85 * before


WRONG = {
    "rank": ({"family": "wan", "lora": 0}, "lora must be a rank of at least 1"),
    "motion": ({"family": "motion", "lora": 4}, "family motion has none, only clip, cogvideox, ltx, wan: leave it out"),
    "checkpointing": ({"family": "motion", "gradient_checkpointing": True}, "family motion has none, only"),
    "no weights": ({"family": "wan", "lora": 4}, "init= must name"),
}


@pytest.mark.parametrize(("settings", "told"), WRONG.values(), ids=WRONG)
def test_what_takes_no_adapter_is_told_in_one_line(settings, told, tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"stage": "ect", "device": "cpu", **settings}))
    done = CliRunner().invoke(cli, ["train", str(tmp_path / "run.yaml"), f"out={tmp_path / 'out'}"])
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_peft_the_line_says_how_to_get_it(monkeypatch, tmp_path):
    real = adapter.importlib.util.find_spec
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: None if name == "peft" else real(name))
    with pytest.raises(UserError, match=r"needs peft: pip install 'vidcm\[lora\]'"):
        open_family(run_config("wan", tmp_path))


def test_a_damaged_adapter_or_one_without_its_base_is_refused(tmp_path):
    base, model = tune("wan 2.1 t2v", tmp_path)
    file = model / adapter.weight_name(0)
    whole = load_file(file)
    name = sorted(whole)[0]
    for spoilt, told in (
        ({key: value for key, value in whole.items() if key != name}, f"missing {name}"),
        ({**whole, "more": torch.ones(1)}, "unexpected more"),
        ({**whole, name: whole[name][:1].clone()}, r"not \["),
        ({**whole, name: whole[name] * float("nan")}, "NaN or infinite"),
    ):
        save_file(spoilt, file)
        with pytest.raises(UserError, match=told):
            WanFamily.load(model)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        VideoGenerationPipeline.from_pretrained(model)
    with pytest.raises(UserError, match="is an adapter: start from its base"):
        save_file(whole, file)
        open_family(run_config("wan", model))
    base.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="is not there: write where it lies now"):
        VideoGenerationPipeline.from_pretrained(model)
    (model / "adapter.json").write_text(json.dumps({"base": "../../moved", "rank": 2}))
    WanFamily.load(model)
    (model / "adapter.json").write_text("{")
    with pytest.raises(UserError, match="does not name a base and a rank"):
        WanFamily.load(model)
