"""Families without weights: the parameters of published models, and those of a directory."""

import json

import pytest
import torch

from tests.families.tiny_video import write
from vidcm import families
from vidcm.core.errors import UserError
from vidcm.core.shipped import shipped
from vidcm.families.grid import Grid
from vidcm.families.grids import grid_of, has_two_networks
from vidcm.families.published import published
from vidcm.families.skeleton import skeleton
from vidcm.models.video_vae import SIDE, TIME

BILLIONS = {  # of the transformer, as model cards and papers round them, and of the whole
    "wan2.1-1.3b": (1.42, 7.23),
    "wan2.1-14b": (14.3, 20.1),
    "wan2.1-14b-i2v": (16.4, 22.8),
    "wan2.2-5b": (5.0, 11.4),
    "wan2.2-a14b": (14.3, 34.4),
    "wan2.2-a14b-i2v": (14.3, 34.4),
    "ltx-video": (1.92, 7.1),
    "cogvideox-2b": (1.69, 6.67),
    "cogvideox-5b": (5.57, 10.5),
}


def weights(family) -> list:
    return [weight for module in family.modules() for weight in module.parameters()]


@pytest.mark.parametrize("name", BILLIONS)
def test_a_published_model_has_as_many_parameters_as_it_is_said_to_have(name):
    family = skeleton(name, torch.bfloat16)
    assert {weight.device.type for weight in weights(family)} == {"meta"}
    transformer, whole = BILLIONS[name]
    assert sum(w.numel() for w in family.transformer.parameters()) / 1e9 == pytest.approx(transformer, rel=0.005)
    assert sum(w.numel() for w in weights(family)) / 1e9 == pytest.approx(whole, rel=0.005)
    assert grid_of(name) == family.grid


def test_every_published_model_is_known_here():
    assert set(published()) == set(BILLIONS)


@pytest.mark.parametrize("name", ["wan 2.1 i2v", "ltx, text", "cogvideox 5b"])
def test_a_skeleton_has_the_weights_of_its_directory_in_the_types_that_loading_gives_them(name, tmp_path):
    folder = write(name, tmp_path / "model")
    kind = families.get(name.partition(" ")[0].strip(","))
    loaded, built = kind.load(folder, torch.bfloat16), skeleton(folder, torch.bfloat16)
    for part in ("vae", "transformer", "text_encoder", "image_encoder"):
        there, here = getattr(loaded, part), getattr(built, part)
        if there is not None:
            wanted = {name: (weight.shape, weight.dtype) for name, weight in there.named_parameters()}
            assert wanted == {name: (weight.shape, weight.dtype) for name, weight in here.named_parameters()}
    assert built.usual_clip == loaded.usual_clip
    assert grid_of(folder) == loaded.grid
    assert has_two_networks(folder) is (loaded.boundary is not None)


def test_the_grid_of_the_shipped_generator_is_that_of_its_vae():
    assert grid_of(shipped("clip")) == Grid(TIME, SIDE)


def test_of_an_adapter_it_is_that_of_its_base(tmp_path):
    pytest.importorskip("peft")
    folder = write("wan 2.1 t2v", tmp_path / "model")
    family = families.get("wan").load(folder)
    family.adapt(2, str(folder))
    family.save(tmp_path / "adapter")
    wanted, found = (skeleton(place, torch.float32).transformer.config for place in (folder, tmp_path / "adapter"))
    assert dict(wanted) == dict(found)
    assert grid_of(tmp_path / "adapter") == family.grid


def edit(folder, part, **changes):
    path = folder / part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


BROKEN = {
    "no such model": (lambda f: f / "nowhere", "neither a model directory nor one of: cogvideox-2b"),
    "no config": (lambda f: (f / "vae" / "config.json").unlink(), "the config of vae/ is missing"),
    "no JSON": (lambda f: (f / "vae" / "config.json").write_text("{"), "is not a config"),
    "a value that cannot be": (
        lambda f: edit(f, "transformer", num_attention_heads="x"),
        "transformer cannot be built",
    ),
    "code of its own": (
        lambda f: (f / "model_index.json").write_text(
            (f / "model_index.json").read_text().replace('"diffusers"', '"my_code"')
        ),
        "not known here",
    ),
}


@pytest.mark.parametrize(("harm", "told"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_built_is_refused_in_one_line(harm, told, tmp_path):
    folder = write("wan 2.1 t2v", tmp_path / "model")
    other = harm(folder)
    with pytest.raises(UserError, match=told) as error:
        skeleton(other if told.startswith("neither") else folder, torch.float32)
    assert "\n" not in str(error.value)
