"""Every pretrained family against the stock diffusers pipeline of the same directory."""

import functools
import math
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.ltx import pipeline_ltx, pipeline_ltx_condition
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from diffusers.utils import logging

from tests.families.tiny_video import VARIANTS, Variant, ltx, pictures, stock, write
from vidcm import families
from vidcm.core.circle import per_sample
from vidcm.pipelines import VideoGenerationPipeline

pytest.importorskip("transformers").utils.logging.disable_progress_bar()
logging.set_verbosity_error()
logging.disable_progress_bar()

PROMPT, NEGATIVE = "a red ball  rolls over the sand &amp; over", "blurry grey"
STEPS = 4


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return functools.cache(lambda name: write(name, tmp_path_factory.mktemp("models") / name.replace(" ", "-")))


@pytest.fixture(autouse=True)
def _modes(monkeypatch):
    """Two of the stock pipelines draw the given frame from its posterior; ours takes the mode."""
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())


@pytest.fixture(params=VARIANTS)
def model(request, folders):
    """(variant, directory)"""
    return VARIANTS[request.param], folders(request.param)


def ours(folder: Path) -> VideoGenerationPipeline:
    pipe = VideoGenerationPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def both(given: list) -> list:
    """First and last frame, None where not given."""
    return [*given, None, None][:2]


def placed(images: list, frames: int) -> list[LTXVideoCondition] | None:
    """The first and the last frame as LTX 0.9.5 takes them."""
    ends = zip(images, (0, frames - 1), strict=False)
    return [LTXVideoCondition(image=image, frame_index=index) for image, index in ends] or None


def noise_for(family, variant: Variant) -> torch.Tensor:
    return torch.randn(1, *family.latent_shape(*variant.shape), generator=torch.Generator().manual_seed(3))


def stock_run(variant: Variant, folder: Path, family, scale: float, output_type: str, **more):
    """What the stock pipeline makes of the noise, and (input, timestep, output) of each call of its networks."""
    pipe, noise = stock(variant, folder), noise_for(family, variant)
    frames, height, width = variant.shape
    given = pictures(variant.images, height, width)
    options = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "num_frames": frames, "height": height, "width": width}
    options |= {"num_inference_steps": STEPS, "guidance_scale": scale, "output_type": output_type, **more}
    images = VideoGenerationPipeline.numpy_to_pil(torch.cat(given).permute(0, 2, 3, 1).numpy()) if given else []
    if variant.rate:
        options["frame_rate"] = variant.rate
    conditional = "LTXCondition" in family.index["_class_name"]
    if conditional:
        options |= {"conditions": placed(images, frames), "image_cond_noise_scale": 0.0}
    else:
        options |= dict(zip(("image", "last_image"), images, strict=False))
    if variant.family == "ltx" and not conditional:
        told = family.images(*both(given), variant.shape, 1, 24)
        start = torch.where(told["is_known"], told["known"], noise) if given else noise
        options["latents"] = start.flatten(2).transpose(1, 2)
    elif not conditional:
        options["latents"] = noise.transpose(1, 2) if variant.family == "cogvideox" else noise
    calls = []

    def note(module, args, kwargs, output):
        calls.append((kwargs["hidden_states"], kwargs["timestep"], output[0]))

    for network in filter(None, (pipe.transformer, getattr(pipe, "transformer_2", None))):
        network.register_forward_hook(note, with_kwargs=True)
    with patch.object(pipeline_ltx_condition, "randn_tensor", lambda shape, **_: noise[:, :, : shape[2]].clone()):
        return pipe(**options).frames, calls


def as_latents(value: torch.Tensor, family_name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """What a stock network takes or gives as [B, C, T, h, w], given frames beside the latents cut off."""
    if family_name == "ltx":
        tokens = value[:, -math.prod(shape[1:]) :]  # a last frame that is given stands in front
        return tokens.transpose(1, 2).reshape(value.shape[0], *shape)
    return (value.transpose(1, 2) if family_name == "cogvideox" else value)[:, : shape[0]]


def test_the_denoiser_is_the_stock_prediction_at_every_step(model):
    """Pure noise, where all of them start, among the steps."""
    variant, folder = model
    pipe = ours(folder)
    family = pipe.family
    shape = family.latent_shape(*variant.shape)
    _, calls = stock_run(variant, folder, family, 1.0, "latent")
    given = both(pictures(variant.images, *variant.shape[1:]))
    condition = {**family.text([PROMPT])[0], **family.images(*given, variant.shape, 1, variant.rate or 1)}
    denoiser = family.denoiser(condition)
    assert len(calls) == STEPS
    for value, timestep, output in calls:
        y, output, time = (
            as_latents(value, variant.family, shape),
            as_latents(output, variant.family, shape),
            timestep.max(),
        )
        if variant.family == "cogvideox":
            angle = torch.tensor(family.parameterisation().angles[int(time)])
            x, expected = y, angle.cos() * y - angle.sin() * output
        else:
            s = time.item() / 1000
            angle = torch.tensor(math.atan2(s, 1 - s))
            x, expected = y * (angle.cos() + angle.sin()), y - s * output
            if "known" in condition:
                expected = torch.where(condition["is_known"], condition["known"], expected)
        found = denoiser(x, per_sample(angle.item(), x))
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)
    assert calls[0][1].max() >= 990


def test_the_schedule_starts_in_pure_noise_and_the_clip_is_the_stock_one(model):
    """Prompt, guidance, schedule, solver and decoder together. UniPC is another solver than Euler."""
    variant, folder = model
    if "UniPC" in str(families.get(variant.family).load(folder).index["scheduler"]):
        pytest.skip("of another order")
    pipe = ours(folder)
    wanted, _ = stock_run(variant, folder, pipe.family, 4.0, "pt")
    given = dict(zip(("image", "last_image"), pictures(variant.images, *variant.shape[1:]), strict=False))
    frames, height, width = variant.shape
    made = pipe(
        PROMPT,
        **given,
        negative_prompt=NEGATIVE,
        num_frames=frames,
        height=height,
        width=width,
        frame_rate=variant.rate,
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        latents=noise_for(pipe.family, variant),
    ).frames
    assert made.shape == (1, 3, *variant.shape)
    assert made.std() > 0.01
    torch.testing.assert_close(made.transpose(1, 2), wanted, atol=1e-3, rtol=0)


def test_saved_again_the_stock_pipeline_reads_the_same_bits(model, tmp_path):
    variant, folder = model
    ours(folder).save_pretrained(tmp_path / "again")
    before, after = stock(variant, folder), stock(variant, tmp_path / "again")
    assert type(before) is type(after)
    assert {key: value for key, value in before.config.items() if not key.startswith("_")} == {
        key: value for key, value in after.config.items() if not key.startswith("_")
    }
    for name, part in before.components.items():
        if isinstance(part, torch.nn.Module):
            other = getattr(after, name).state_dict()
            assert part.state_dict().keys() == other.keys()
            assert all(torch.equal(value, other[key]) for key, value in part.state_dict().items())
        elif hasattr(part, "config"):
            assert dict(part.config) == dict(getattr(after, name).config)
    if before.tokenizer is not None:
        assert before.tokenizer(PROMPT).input_ids == after.tokenizer(PROMPT).input_ids


def test_of_two_networks_each_answers_for_its_own_noise_levels_within_a_batch(folders):
    """As training draws them; the gradient goes to both."""
    family = ours(folders("wan 2.2 i2v")).family
    shape = (5, 32, 48)
    first = torch.cat(pictures(3, 32, 48))
    given = family.images(first, None, shape, 3, 16.0)
    condition = {**family.text([PROMPT, "sand", "grey"])[0], **given}
    x = torch.randn(3, *family.latent_shape(*shape), generator=torch.Generator().manual_seed(0))
    angles = torch.tensor([1.5, 0.4, 1.55]).view(-1, 1, 1, 1, 1)  # the boundary is at 1.46
    networks = family.trainable("ect").requires_grad_(True)
    together = family.denoiser(condition)(x, angles)
    together.square().mean().backward()
    assert all(any(weight.grad is not None for weight in network.parameters()) for network in networks)
    for i in range(3):
        alone = family.denoiser({name: value[i : i + 1] for name, value in condition.items()})
        torch.testing.assert_close(alone(x[i : i + 1], angles[i : i + 1]), together[i : i + 1], atol=1e-5, rtol=1e-5)


def test_each_of_two_networks_has_a_scale_of_its_own(folders):
    name = "wan 2.2 t2v, two networks"
    variant, pipe = VARIANTS[name], ours(folders(name))
    wanted, _ = stock_run(variant, folders(name), pipe.family, 4.0, "latent", guidance_scale_2=1.5)
    frames, height, width = variant.shape
    options = {"num_frames": frames, "height": height, "width": width, "num_inference_steps": STEPS}
    options |= {"negative_prompt": NEGATIVE, "latents": noise_for(pipe.family, variant), "output_type": "latent"}
    made = pipe(PROMPT, guidance_scale=4.0, guidance_scale_2=1.5, **options).frames
    torch.testing.assert_close(made, wanted, atol=2e-4, rtol=2e-4)
    assert not torch.allclose(made, pipe(PROMPT, guidance_scale=4.0, **options).frames, atol=1e-2)


def test_frames_at_any_place_are_those_of_the_stock_pipeline(folders):
    """LTX 0.9.5 with the first frame and two inside the clip."""
    name = "ltx 0.9.5, image"
    pipe, variant = ours(folders(name)), VARIANTS[name]
    places, (frames, height, width) = (0, 8, 11), variant.shape
    given, noise = pictures(3, height, width), noise_for(pipe.family, variant)
    images = VideoGenerationPipeline.numpy_to_pil(torch.cat(given).permute(0, 2, 3, 1).numpy())
    told = [LTXVideoCondition(image=image, frame_index=place) for image, place in zip(images, places, strict=True)]
    options = {"num_frames": frames, "height": height, "width": width, "num_inference_steps": STEPS}
    options |= {"guidance_scale": 1.0, "frame_rate": variant.rate, "output_type": "latent"}
    with patch.object(pipeline_ltx_condition, "randn_tensor", lambda shape, **_: noise[:, :, : shape[2]].clone()):
        wanted = stock(variant, folders(name))(
            prompt=PROMPT, conditions=told, image_cond_noise_scale=0.0, **options
        ).frames
    first, *others = zip(places, given, strict=True)
    found = pipe(PROMPT, first[1], frames=dict(others), latents=noise, **options).frames
    wanted = as_latents(wanted, "ltx", tuple(noise.shape[1:])) if wanted.ndim == 3 else wanted
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=2e-4)


def test_a_decoder_that_denoises_is_told_its_time_and_given_noise(tmp_path):
    """LTX from 0.9.1 on, at the values of its model card."""
    ltx(timestep_conditioning=True).save_pretrained(tmp_path / "model")
    family = ours(tmp_path / "model").family
    variant = VARIANTS["ltx, text"]
    noise = noise_for(family, variant)
    frames, height, width = variant.shape
    options = {"num_frames": frames, "height": height, "width": width, "num_inference_steps": 2, "guidance_scale": 1.0}
    options |= {"latents": noise.flatten(2).transpose(1, 2), "decode_timestep": 0.05, "decode_noise_scale": 0.025}
    pipe = stock(variant, tmp_path / "model")
    x0 = as_latents(pipe(PROMPT, output_type="latent", **options).frames, "ltx", tuple(noise.shape[1:]))
    other = noise.flip(2)
    with patch.object(pipeline_ltx, "randn_tensor", lambda shape, **_: other.clone()):
        wanted = pipe(PROMPT, output_type="pt", **options).frames
    torch.testing.assert_close(family.decode(x0, other).transpose(1, 2), wanted, atol=1e-5, rtol=0)
    assert not torch.allclose(family.decode(x0, noise).transpose(1, 2), wanted, atol=1e-3)
