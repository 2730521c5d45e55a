"""Bad directories of pretrained models, each refused in one line."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.families.tiny_video import write
from vidcm.core.errors import UserError
from vidcm.families.wan import WanFamily
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.pipelines import VideoGenerationPipeline

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write("wan 2.1 t2v", tmp_path_factory.mktemp("models") / "whole")


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


def edit_index(folder, **entries):
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def edit_weights(folder, edit, part="transformer"):
    path = folder / part / WEIGHTS
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def truncate(folder):
    path = folder / "transformer" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def pickle_instead(folder):
    (folder / "vae" / WEIGHTS).rename(folder / "vae" / "diffusion_pytorch_model.bin")


def shard_lost(folder):
    """A sharded transformer whose second file was not copied."""
    part = folder / "transformer"
    tensors = load_file(part / WEIGHTS)
    names = sorted(tensors)
    files = {"model-00001.safetensors": names[::2], "model-00002.safetensors": names[1::2]}
    save_file({name: tensors[name] for name in names[::2]}, part / "model-00001.safetensors", metadata={"format": "pt"})
    placed = {name: file for file, held in files.items() for name in held}
    (part / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": placed}))
    (part / WEIGHTS).unlink()


def shard_cut(folder):
    """Both shards are there, the second cut short in the copying."""
    shard_lost(folder)
    part = folder / "transformer"
    placed = json.loads((part / f"{WEIGHTS}.index.json").read_text())["weight_map"]
    short = {name: torch.zeros(3) for name, file in placed.items() if file.endswith("2.safetensors")}
    save_file(short, part / "model-00002.safetensors", metadata={"format": "pt"})
    whole = (part / "model-00002.safetensors").read_bytes()
    (part / "model-00002.safetensors").write_bytes(whole[: len(whole) // 2])


BROKEN = {
    "no directory": (shutil.rmtree, "does not exist"),
    "no index": (lambda folder: (folder / "model_index.json").unlink(), r"model_index\.json is missing"),
    "an index that is no JSON": (lambda folder: (folder / "model_index.json").write_text("{"), "is not JSON"),
    "an index of nothing": (lambda folder: (folder / "model_index.json").write_text("[]"), "does not name a pipeline"),
    "an unknown pipeline": (lambda f: edit_index(f, _class_name="FluxPipeline"), "holds a FluxPipeline.*WanPipeline"),
    "an unknown class": (
        lambda f: edit_index(f, transformer=["diffusers", "FluxTransformer2DModel"]),
        "not known here",
    ),
    "code of its own": (lambda f: edit_index(f, transformer=["my_code", "WanTransformer3DModel"]), "is not run"),
    "an entry that is none": (lambda f: edit_index(f, vae="x"), "must be a library and a class"),
    "no transformer": (lambda f: edit_index(f, transformer=[None, None]), "transformer is missing"),
    "no folder of a part": (lambda folder: shutil.rmtree(folder / "vae"), "vae/ is missing"),
    "a truncated file": (truncate, "cannot be read as WanTransformer3DModel"),
    "a lost shard": (shard_lost, "cannot be read as WanTransformer3DModel"),
    "a truncated shard": (shard_cut, "cannot be read as WanTransformer3DModel"),
    "pickles": (pickle_instead, "pickle files such as"),
    "a config that is no JSON": (lambda f: (f / "vae" / "config.json").write_text("{"), "vae cannot be read"),
    "a missing key": (lambda f: edit_weights(f, lambda t: t.pop("proj_out.bias")), r"missing proj_out\.bias"),
    "an unexpected key": (lambda f: edit_weights(f, lambda t: t.update(extra=torch.ones(1))), "unexpected extra"),
    "a wrong shape": (lambda f: edit_weights(f, lambda t: t.update({"proj_out.bias": torch.ones(3)})), "transformer"),
    "NaN": (lambda f: edit_weights(f, lambda t: t["proj_out.bias"].fill_(float("nan"))), "NaN"),
    "no vocabulary": (lambda f: (f / "tokenizer" / "tokenizer.json").unlink(), "holds no vocabulary"),
    "no words": (lambda folder: shutil.rmtree(folder / "tokenizer"), "tokenizer/ is missing"),
    "a scheduler of no flow": (
        lambda f: edit_index(f, scheduler=["diffusers", "DPMSolverMultistepScheduler"]),
        "not of a rectified flow",
    ),
}


@pytest.mark.parametrize(("harm", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_directory_is_refused_in_one_line(folder, harm, told):
    harm(folder)
    with pytest.raises(UserError) as error:
        VideoGenerationPipeline.from_pretrained(folder)
    assert re.search(told, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def pieces(folder, tmp_path):
    """The directory with its vocabulary as sentencepiece alone, as LTX's and CogVideoX's are published."""
    sentencepiece = pytest.importorskip("sentencepiece")
    text, tokenizer = tmp_path / "text", folder / "tokenizer"
    text.write_text("a red ball rolls over the sand\nthe grey blurry ball\nrolling red sand over grey\n" * 20)
    special = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tokenizer / "spiece"), vocab_size=40, hard_vocab_limit=False, **special
    )
    (tokenizer / "tokenizer.json").unlink()
    (tokenizer / "spiece.vocab").unlink()
    return folder


def test_a_vocabulary_of_sentencepiece_is_read_as_it_is(pieces):
    from sentencepiece import SentencePieceProcessor

    own = SentencePieceProcessor(model_file=str(pieces / "tokenizer" / "spiece.model"))
    tokenizer = WanFamily.load(pieces).tokenizer
    assert tokenizer("a red ball").input_ids == [*own.encode("a red ball"), own.eos_id()]


@pytest.mark.parametrize("package", ["sentencepiece", "protobuf"])
def test_what_sentencepiece_needs_is_named(pieces, monkeypatch, package):
    lacking = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}[package]
    monkeypatch.setattr("vidcm.families.stock.is_installed", lambda module: module != lacking)
    with pytest.raises(UserError, match=rf"needs {package}: pip install 'vidcm\[text\]'"):
        WanFamily.load(pieces)


def test_a_family_reads_its_own_pipelines_only(folder):
    edit_index(folder, _class_name="LTXPipeline")
    with pytest.raises(UserError, match="choose the family that fits"):
        WanFamily.load(folder)


def test_half_precision_weights_load_as_asked_and_stay_so(folder, tmp_path):
    family = WanFamily.load(folder, torch.bfloat16)
    assert (family.transformer.dtype, family.text_encoder.dtype) == (torch.bfloat16, torch.bfloat16)
    assert family.vae.dtype == torch.float32  # as its authors run it
    family.save(tmp_path / "half")
    plain = WanFamily.load(tmp_path / "half")
    assert {weight.dtype for weight in plain.transformer.parameters()} == {torch.float32}
    for name, weight in family.transformer.named_parameters():
        assert torch.equal(plain.transformer.get_parameter(name), weight.float())


def test_a_tuned_model_keeps_where_its_sampling_goes(folder, tmp_path):
    family = WanFamily.load(folder)
    assert family.consistency is None
    family.consistency = ConsistencyScheduler(middle=0.9, temperature=0.7)
    family.save(tmp_path / "tuned")
    loaded = WanFamily.load(tmp_path / "tuned").consistency
    assert (loaded.config.middle, loaded.config.temperature) == (0.9, 0.7)


def test_a_failed_save_leaves_the_old_directory(folder, monkeypatch):
    family = WanFamily.load(folder)
    monkeypatch.setattr(type(family.vae), "save_pretrained", lambda *a, **k: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        family.save(folder)
    monkeypatch.undo()
    WanFamily.load(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_families_are_found_without_transformers_and_it_is_asked_for_where_it_is_needed(whole):
    code = f"""
import sys
sys.modules["transformers"] = sys.modules["peft"] = None  # as if not installed; peft brings transformers
from vidcm import families
from vidcm.core.errors import UserError
from vidcm.pipelines import FrameInterpolationPipeline, VideoGenerationPipeline
print(*families.available())
FrameInterpolationPipeline.from_pretrained()
try:
    VideoGenerationPipeline.from_pretrained({str(whole)!r})
except UserError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    listed, told = found.stdout.splitlines()
    assert listed == "clip cogvideox ltx motion wan"
    assert "needs transformers: pip install 'vidcm[text]'" in told
