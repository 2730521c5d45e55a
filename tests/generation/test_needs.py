"""What a clip is said to take, against what its parts take when they run."""

import json

import pytest
import torch
from click.testing import CliRunner

from tests.families.tiny_video import pictures, write
from vidcm import families
from vidcm.cli.main import cli
from vidcm.core.circle import per_sample
from vidcm.core.cost import cost_of
from vidcm.core.errors import UserError
from vidcm.families.skeleton import skeleton
from vidcm.generation.needs import needs

CLIPS = {  # name -> shape, frames it is given
    "wan 2.1 t2v": ((9, 64, 96), 0),
    "wan 2.1 i2v": ((9, 64, 96), 1),
    "wan 2.1 flf2v": ((9, 32, 48), 2),
    "wan 2.2 i2v": ((9, 32, 48), 1),
    "ltx 0.9.5, text": ((17, 64, 96), 0),
    "cogvideox i2v": ((9, 48, 64), 1),
}


@pytest.mark.parametrize("name", CLIPS)
def test_what_is_foretold_is_what_the_loaded_model_takes(name, tmp_path):
    """The same trace over a real run of the weights: the meta device leaves nothing out."""
    shape, count = CLIPS[name]
    folder = write(name, tmp_path / "model")
    told = needs(skeleton(folder, torch.float32), shape, 3)
    parts = {part.name: part for part in told.parts}
    family = families.get(name.partition(" ")[0].strip(",")).load(folder)
    given = family.images(*[*pictures(count, *shape[1:]), None, None][:2], shape, 1, 1.0)
    condition = {**family.text(["a ball"])[0], **given}
    x = torch.randn(1, *family.latent_shape(*shape))
    for number, network in enumerate(family.networks):
        denoise = family.denoiser(condition, network)
        work = cost_of(lambda denoise=denoise: denoise(x, per_sample(1.0, x)))
        part = parts["transformer" if number == 0 else "transformer_2"]
        assert work.flops == part.work.flops
        assert work.bytes == pytest.approx(part.work.bytes, rel=0.02)
        assert part.weights >= 4 * part.parameters
    decoded = cost_of(lambda: family.decode(x))
    assert decoded.bytes <= parts["vae"].work.bytes
    assert count or decoded.bytes == parts["vae"].work.bytes
    assert sum(parts[name].calls for name in parts if name.startswith("transformer")) == 3


def test_memory_is_the_weights_and_the_largest_work():
    told = needs(skeleton("ltx-video", torch.bfloat16), (9, 128, 128), 2)
    assert told.resident == sum(part.weights for part in told.parts) + max(part.work.bytes for part in told.parts)
    text, transformer, _ = told.parts
    assert told.in_turn == text.weights + text.work.bytes < told.resident
    assert transformer.weights == pytest.approx(2 * transformer.parameters, rel=0.01)
    assert told.flops > 2 * transformer.work.flops


def test_tiles_hold_less_and_are_foretold_from_one(tmp_path):
    family = skeleton(write("wan 2.1 t2v", tmp_path / "model"), torch.float32)
    vae, shape = family.vae, (5, 64, 80)
    vae.tile_sample_min_height = vae.tile_sample_min_width = 32
    vae.tile_sample_stride_height = vae.tile_sample_stride_width = 24
    *_, told = needs(family, shape, 2).parts
    vae.enable_tiling()
    x = torch.empty(1, *family.latent_shape(*shape), device="meta")
    traced = cost_of(lambda: family.decode(x)).bytes
    assert traced < told.work.bytes
    assert told.tiled == pytest.approx(traced, rel=0.3)


def test_a_clip_that_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"got 6 \(try 5 or 9\)"):
        needs(skeleton("wan2.1-1.3b", torch.bfloat16), (6, 480, 832), 2)


def doctor(*words):
    return CliRunner().invoke(cli, ["doctor", *words])


def test_the_doctor_tells_what_a_clip_takes(tmp_path):
    folder = write("wan 2.1 t2v", tmp_path / "model")
    done = doctor("--model", str(folder), "--size", "48x32", "--num-frames", "9", "--steps", "1")
    assert done.exit_code == 0, done.output
    assert "9 frames of 48x32 in 1 step, networks in bfloat16" in done.output
    for name in (
        "text_encoder",
        "transformer",
        "vae",
        "everything on the device",
        "--low-memory",
        "TFLOP in all",
        "the process",
    ):
        assert name in done.output
    assert "on a CPU, what the process holds before there is a model" in done.output
    told = json.loads(doctor("--model", str(folder), "--num-frames", "5", "--size", "48x32", "--json").output)
    assert told["resident"] > told["low_memory"] > 0
    assert [part["name"] for part in told["parts"]] == ["text_encoder", "transformer", "vae"]


def test_the_doctor_tells_of_a_model_that_reads_no_text():
    done = doctor("--model", "clip", "--json")
    assert done.exit_code == 0, done.output
    assert [part["name"] for part in json.loads(done.output)["parts"]] == ["teacher", "transformer", "vae"]


WRONG = {
    "no such model": (["--model", "wan9"], 2, "wan9 is neither a model directory nor one of: cogvideox-2b"),
    "no size": (["--model", "wan2.1-1.3b", "--size", "big"], 2, "WxH in pixels"),
    "a size of no model": (["--size", "48x32"], 2, "name its --model"),
    "JSON of no model": (["--json"], 2, "name its --model"),
    "a size that does not divide": (["--model", "wan2.1-1.3b", "--size", "850x480"], 2, "(try 848x480)"),
}


@pytest.mark.parametrize(("words", "code", "told"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_one_line(words, code, told):
    done = doctor(*words)
    assert done.exit_code == code
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
