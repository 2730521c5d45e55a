"""What the pipeline adds to the families; that it equals the stock pipelines is in tests/families."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.families.tiny_video import pictures, write
from vidcm import families
from vidcm.core.circle import mix, per_sample
from vidcm.core.errors import UserError
from vidcm.core.noise import keyed_noise
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.pipelines import VideoGenerationPipeline

PROMPT = "a red ball"
CLIP = {"num_frames": 5, "height": 32, "width": 48}


def quiet(pipe: VideoGenerationPipeline) -> VideoGenerationPipeline:
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write("wan 2.1 t2v", tmp_path_factory.mktemp("models") / "wan")


@pytest.fixture(scope="module")
def plain(folder):
    return quiet(VideoGenerationPipeline.from_pretrained(folder))


@pytest.fixture(scope="module")
def pipe(folder):
    """Tuned, as its directory says."""
    family = VideoGenerationPipeline.from_pretrained(folder).family
    family.consistency = ConsistencyScheduler(middle=0.8, temperature=0.9)
    return quiet(VideoGenerationPipeline.of(family, "wan"))


@pytest.fixture(scope="module")
def animated(tmp_path_factory):
    folder = write("wan 2.2 i2v", tmp_path_factory.mktemp("models") / "i2v")
    return quiet(VideoGenerationPipeline.from_pretrained(folder))


def test_two_consistency_steps_are_the_default_of_tuned_weights(pipe):
    family, shape = pipe.family, pipe.family.latent_shape(5, 32, 48)
    f = family.denoiser(family.text([PROMPT])[0])
    start, middle = ConsistencyScheduler(middle=0.8).angles(2)
    noise, again = (keyed_noise(shape, seed=4, shot=0, position=0, draw=i)[None] for i in range(2))
    with torch.no_grad():
        x0 = f(0.9 * noise, per_sample(start, noise))
        angle = per_sample(middle, noise)
        x0 = f(mix(x0, 0.9 * again, angle), angle)
    made = pipe(PROMPT, **CLIP, seed=4, output_type="latent").frames
    torch.testing.assert_close(made, x0, atol=1e-5, rtol=1e-5)


def test_weights_say_how_they_are_sampled(pipe, plain):
    assert pipe.plan() == ("consistency", 2)
    assert plain.plan() == ("ode", 50)
    assert plain.plan("consistency") == ("consistency", 2)
    with pytest.raises(UserError, match="load the model that they were tuned from"):
        pipe.plan("ode")


def test_a_clip_depends_on_its_seed_and_not_on_its_company(pipe):
    both = pipe([PROMPT, "sand"], **CLIP, seed=[3, 8], output_type="latent").frames
    alone = pipe("sand", **CLIP, seed=8, output_type="latent").frames
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(alone, pipe("sand", **CLIP, seed=9, output_type="latent").frames, atol=1e-2)
    counted = pipe(PROMPT, **CLIP, seed=3, output_type="latent").frames
    torch.testing.assert_close(both[:1], counted, atol=1e-5, rtol=1e-5)


def test_generators_replace_seeds_one_for_each_clip(pipe):
    def generators(*seeds: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    both = pipe([PROMPT, "sand"], **CLIP, generator=generators(1, 2), output_type="latent").frames
    alone = pipe("sand", **CLIP, generator=generators(2)[0], output_type="latent").frames
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-5)


def test_a_callback_sees_each_step_and_may_replace_it(pipe):
    seen = []

    def callback(told, step, angle, tensors):
        assert told is pipe
        seen.append((step, angle))
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 1 else None

    made = pipe(PROMPT, **CLIP, output_type="latent", callback_on_step_end=callback).frames
    assert seen == list(enumerate(pipe.consistency.angles(2)))
    assert not made.any()


def test_guidance_leads_away_from_the_negative_prompt(pipe):
    def made(**options) -> torch.Tensor:
        return pipe(PROMPT, **CLIP, num_inference_steps=1, output_type="latent", **options).frames

    conditional = made()
    without = pipe("grey", **CLIP, num_inference_steps=1, output_type="latent").frames
    guided = made(guidance_scale=3.0, negative_prompt="grey")
    torch.testing.assert_close(guided, without + 3 * (conditional - without), atol=1e-4, rtol=1e-4)


def test_outputs_are_tensors_arrays_or_images_of_the_same_clip(pipe):
    tensor = pipe(PROMPT, **CLIP).frames
    assert tensor.shape == (1, 3, 5, 32, 48)
    array, images = (pipe(PROMPT, **CLIP, output_type=kind, return_dict=False)[0] for kind in ("np", "pil"))
    np.testing.assert_array_equal(array, tensor.permute(0, 2, 3, 4, 1).numpy())
    assert [image.size for image in images[0]] == [(48, 32)] * 5
    np.testing.assert_array_equal(np.asarray(images[0][2]), (array[0, 2] * 255).round().astype(np.uint8))


def test_saved_and_loaded_it_makes_the_same_clip(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    again = quiet(VideoGenerationPipeline.from_pretrained(tmp_path / "model"))
    assert again.is_tuned
    assert torch.equal(again(PROMPT, **CLIP).frames, pipe(PROMPT, **CLIP).frames)


def test_an_image_may_be_a_tensor_or_a_picture(animated):
    [frame] = pictures(1, 32, 48)
    picture = Image.fromarray((frame[0].permute(1, 2, 0) * 255).round().byte().numpy())
    options = {"num_frames": 5, "num_inference_steps": 2, "output_type": "latent"}
    first, second = (animated(PROMPT, image, **options).frames for image in (frame, picture))
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def test_parts_may_wait_on_the_cpu(folder, plain):
    """The hooks of offloading, with the CPU as the accelerator: every part is called through them."""
    waiting = quiet(VideoGenerationPipeline.from_pretrained(folder))
    waiting.enable_model_cpu_offload(device="cpu")
    made, wanted = (pipe(PROMPT, **CLIP, num_inference_steps=2).frames for pipe in (waiting, plain))
    assert torch.equal(made, wanted)


@pytest.mark.parametrize("how", ["leaf_level", "block_level"])
def test_groups_of_layers_may_wait_on_the_cpu(folder, plain, how):
    """diffusers' group offloading, with the CPU as the accelerator."""
    waiting = quiet(VideoGenerationPipeline.from_pretrained(folder))
    cpu = torch.device("cpu")
    waiting.enable_group_offload(cpu, cpu, offload_type=how, num_blocks_per_group=1)
    made, wanted = (pipe(PROMPT, **CLIP, num_inference_steps=2).frames for pipe in (waiting, plain))
    assert torch.equal(made, wanted)


def test_the_network_compiles_as_one_graph(folder, plain):
    compiled = quiet(VideoGenerationPipeline.from_pretrained(folder))
    compiled.transformer.compile(backend="eager", fullgraph=True)
    made, wanted = (pipe(PROMPT, **CLIP, num_inference_steps=2).frames for pipe in (compiled, plain))
    torch.testing.assert_close(made, wanted, atol=1e-4, rtol=0)
    wrapped = quiet(VideoGenerationPipeline.from_pretrained(folder))
    wrapped.transformer = torch.compile(wrapped.transformer, backend="eager")
    torch.testing.assert_close(wrapped(PROMPT, **CLIP, num_inference_steps=2).frames, wanted, atol=1e-4, rtol=0)


def test_tiling_can_be_switched(pipe):
    pipe.enable_vae_tiling()
    assert pipe.vae.use_tiling
    pipe.disable_vae_tiling()
    assert not pipe.vae.use_tiling


def test_frames_given_anywhere_are_frames_of_the_clip():
    """Of the family that can be told of any of them."""
    torch.manual_seed(0)
    family = families.get("clip").create({"vae": {"widths": [8, 16, 16]}, "dit": {"dim": 32, "depth": 1, "heads": 2}})
    pipe = quiet(VideoGenerationPipeline.of(family, "clip"))
    given = dict(zip((0, 2, 4), pictures(3, 32, 48), strict=True))
    options = {"num_frames": 5, "sampler": "consistency", "num_inference_steps": 1}
    made = pipe(frames=given, **options).frames
    for place, frame in given.items():
        torch.testing.assert_close(made[:, :, place], frame, atol=1e-5, rtol=0)
    ends = pipe(image=given[0], last_image=given[4], frames={2: given[2]}, **options).frames
    assert torch.equal(made, ends)
    assert not torch.allclose(pipe(image=given[0], last_image=given[4], **options).frames, made, atol=1e-3)


def test_attention_is_chosen_by_name_and_refused_at_once(folder, plain):
    pipe = quiet(VideoGenerationPipeline.from_pretrained(folder))
    pipe.set_attention_backend("math")
    made, wanted = (each(PROMPT, **CLIP, num_inference_steps=2, guidance_scale=1.0).frames for each in (pipe, plain))
    torch.testing.assert_close(made, wanted, atol=1e-3, rtol=0)
    with pytest.raises(UserError, match="attention xformers cannot serve on cpu"):
        pipe.set_attention_backend("xformers")


WRONG = {
    "frames": ({"num_frames": 6}, r"1 \+ a multiple of 4 for this VAE, got 6 \(try 5 or 9\)"),
    "size": ({"height": 40}, r"multiples of 16 for this model, got 48x40 \(try 48x32\)"),
    "image for text": ({"image": torch.zeros(1, 3, 32, 48)}, "takes no image"),
    "image of another size": ({"image": torch.zeros(1, 3, 32, 32)}, "crop or pad"),
    "image of 8 bits": ({"image": 255 * torch.ones(1, 3, 32, 48)}, r"in 0\.\.1"),
    "counts": ({"prompt": ["a", "b", "c"], "negative_prompt": ["x", "y"]}, "2 negative prompts for 3 clips"),
    "seeds": ({"seed": [1, 2]}, "seed must be one, or one for each of the 1 clips"),
    "a frame inside": (
        {"frames": {2: torch.zeros(1, 3, 32, 48)}},
        "of a first or last frame only, got one for place 2",
    ),
    "a frame beyond": ({"frames": {5: torch.zeros(1, 3, 32, 48)}}, "places 0 to 4, got one for 5"),
    "a frame twice": (
        {"image": torch.zeros(1, 3, 32, 48), "frames": {0: torch.zeros(1, 3, 32, 48)}},
        "two images are given for place 0",
    ),
    "a second scale": ({"guidance_scale_2": 2.0}, "for a model of two networks"),
    "latents": ({"latents": torch.zeros(1, 4, 1, 4, 6)}, r"latents must be \[1, 4, 2, 4, 6\]"),
    "sampler": ({"sampler": "ddim"}, "sampler must be one of"),
    "steps": ({"num_inference_steps": 0}, "must be 1 to 1000"),
    "output": ({"output_type": "gif"}, "output_type must be one of"),
}


@pytest.mark.parametrize(("options", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_made_is_told(pipe, options, told):
    with pytest.raises(UserError, match=told) as error:
        pipe(**{"prompt": PROMPT, **CLIP, **options})
    assert "\n" not in str(error.value)


def test_a_model_that_animates_asks_for_its_image(animated):
    with pytest.raises(UserError, match="give one, the first frame"):
        animated(PROMPT, **CLIP)
