"""Latents in a dataset: made once, only for what is new, of one encoder, and what training sees of them."""

import errno
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from tests.families.tiny_video import write
from vidcm import families
from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.data.augment import Window, cut
from vidcm.data.clips import ClipCache
from vidcm.data.dataset import PrepareConfig
from vidcm.data.prepare import prepare
from vidcm.evaluation.heldout import ClipShape, real_clips
from vidcm.evaluation.windows import to_images
from vidcm.families.encoder import encoder_digest
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.encode import encode_dataset
from vidcm.finetuning.run import finetune
from vidcm.training.prepared import EncodedAs, PreparedLatents, rows_in, shard_of

from .test_page import write_video

SMALL = FinetuneConfig(num_frames=5, size="64x64", device="cpu")


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Two videos to train on, of 12 frames each and a caption, one to judge by."""
    folder = tmp_path / "footage"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        write_video(folder / f"{name}.mp4", seed)
    (folder / "a.txt").write_text("a red ball")
    (folder / "manifest.csv").write_text("file,split\na.mp4,train\nb.mp4,train\nc.mp4,val\n")
    return folder


@pytest.fixture
def dataset(footage: Path, tmp_path: Path) -> Path:
    prepare([footage], tmp_path / "set", PrepareConfig(min_frames=5))
    return tmp_path / "set"


def shards(dataset: Path) -> dict[str, tuple[int, bytes]]:
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in (dataset / "latents").rglob("*.safetensors")}


def test_run_again_only_what_is_new_is_encoded(footage, dataset, tmp_path):
    model = write("wan 2.2 i2v", tmp_path / "wan")
    done = encode_dataset(dataset, model, SMALL)
    assert (done.scenes, done.new, done.skipped) == (2, 2, 0)
    assert (done.told.num_frames, done.told.height, done.told.width, done.told.rate) == (5, 64, 64, 16.0)
    before = shards(dataset)
    assert encode_dataset(dataset, model, FinetuneConfig(device="cpu")).new == 0
    assert shards(dataset) == before
    cache = ClipCache.open(dataset)
    lost = shard_of(dataset, cache.split("train")[0])
    content = lost.read_bytes()
    lost.write_bytes(content[: len(content) // 2])  # of a disk that lost its power
    (dataset / "latents" / "clips" / "gone.safetensors").write_bytes(b"")
    write_video(footage / "d.mp4", 7)
    with (footage / "manifest.csv").open("a") as rows:
        rows.write("d.mp4,train\n")
    prepare([footage], dataset, PrepareConfig(min_frames=5))
    done = encode_dataset(dataset, model, SMALL)
    assert (done.scenes, done.new) == (3, 2)
    assert lost.read_bytes() == content
    after = shards(dataset)
    assert "gone.safetensors" not in after
    assert {name: after[name] for name in before if name != lost.name} == {
        name: kept for name, kept in before.items() if name != lost.name
    }


def test_what_does_not_fit_the_latents_that_are_there_is_told_before_anything_is_prepared(footage, dataset, tmp_path):
    encode_dataset(dataset, write("wan 2.1 t2v", tmp_path / "wan"), SMALL)
    write_video(footage / "d.mp4", 7)
    with (footage / "manifest.csv").open("a") as rows:
        rows.write("d.mp4,train\n")
    words = ["prepare", str(footage), "-o", str(dataset), "--min-frames", "5", "--latents"]
    other = write("ltx, text", tmp_path / "ltx")
    for more, told in (
        ([str(other)], "are of the encoder"),
        (
            [str(tmp_path / "wan"), "--size", "64x96"],
            "of 5 frames of 64x64 at about 16 a second, not of 5 frames of 64x96",
        ),
    ):
        done = CliRunner().invoke(cli, [*words, *more])
        assert done.exit_code == 1
        assert told in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert len(ClipCache.open(dataset).split("train")) == 2


def test_training_sees_what_the_encoders_make_of_the_clips(dataset, tmp_path):
    model = write("wan 2.2 i2v", tmp_path / "wan")
    encode_dataset(dataset, model, SMALL)
    family = families.get("wan").load(model)
    clips = ClipCache.open(dataset).split("train")
    place = {"rank": 0, "world": 1}
    told = lambda caption: family.said(caption, 1)  # noqa: E731
    batches = PreparedLatents(dataset, clips, 2, 3, told=told, place=place)
    seen = [batches.batch(number) for number in range(2)]
    assert {clip.caption for clip in clips} == {"a red ball", ""}
    for number, batch in enumerate(seen):
        assert batch["x0"].shape == (2, *family.latent_shape(5, 64, 64))
        for row in range(2):
            clip, start = batches.sample(2 * number + row)
            text = family.text([clip.caption])[0]["text"]
            torch.testing.assert_close(batch["condition"]["text"][row : row + 1], text, rtol=2e-3, atol=2e-3)
            assert start == 0  # 12 frames hold 5 of every second one once, at half of their length apart
            first = cut(np.load(dataset / clip.array)[0], Window(0, 16, 80, 80), (64, 64))
            given = family.images(to_images(first[None]), None, (5, 64, 64), 1, 16.0)["given"]
            torch.testing.assert_close(batch["condition"]["given"][row : row + 1], given, rtol=2e-3, atol=2e-3)
            [one] = real_clips(ClipCache.open(dataset), [clip], ClipShape(5, 64, 64, 16.0), 9, least=1)
            away = (batch["x0"][row] - family.encode_frames(one.clip)[0]).abs().mean()
            assert 0 < away < 3  # a draw around it, of a random VAE
    two = [PreparedLatents(dataset, clips, 1, 3, told=told, place={"rank": rank, "world": 2}) for rank in (0, 1)]
    halves = [torch.cat([part.batch(number)["x0"] for part in two]) for number in range(2)]
    for batch, half in zip(seen, halves, strict=True):
        assert torch.equal(batch["x0"], half)


def test_the_hash_is_of_the_encoders_and_of_nothing_else(tmp_path):
    model = write("wan 2.1 t2v", tmp_path / "wan")
    first = encoder_digest(model)
    family = families.get("wan").load(model)
    with torch.no_grad():
        family.transformer.proj_out.weight.add_(1)
    family.save(tmp_path / "tuned")
    assert encoder_digest(tmp_path / "tuned") == first
    for part, name in (("vae", "diffusion_pytorch_model"), ("text_encoder", "model")):
        file = tmp_path / "tuned" / part / f"{name}.safetensors"
        weights = load_file(file)
        changed = next(iter(weights))
        save_file({**weights, changed: weights[changed] + 1}, file, metadata={"format": "pt"})
        assert encoder_digest(tmp_path / "tuned") != first
        save_file(weights, file, metadata={"format": "pt"})
        assert encoder_digest(tmp_path / "tuned") == first
    config = tmp_path / "tuned" / "vae" / "config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "latents_mean": [0.0] * 4}))
    assert encoder_digest(tmp_path / "tuned") != first


def test_finetune_trains_on_them_and_refuses_those_of_another_encoder(dataset, tmp_path, monkeypatch):
    model = write("wan 2.1 t2v", tmp_path / "wan")
    done = encode_dataset(dataset, model, SMALL)
    settings = FinetuneConfig(
        str(model), steps=2, evaluations=1, windows=4, accumulate=1, device="cpu", precision="fp32"
    )
    drawn = []
    original = PreparedLatents.batch
    monkeypatch.setattr(PreparedLatents, "batch", lambda self, n: drawn.append(n) or original(self, n))
    tuned = finetune(dataset, tmp_path / "run", replace(settings, reference=(str(dataset),)))
    assert drawn == [0, 1]
    assert re.search(r"- reference set: distance \d+\.\d+ to \d+\.\d+, (kept|forgot|gained)", tuned.report.read_text())
    with pytest.raises(UserError, match=r"are of 5 frames of 64x64 at about 16 a second, not of 9 frames"):
        finetune(dataset, tmp_path / "other", replace(settings, num_frames=9))
    other = write("ltx, text", tmp_path / "ltx")
    hashes = rf"of the encoder {done.told.encoder} \({re.escape(str(model))}\), \S+ has {encoder_digest(other)}"
    for refused in (
        lambda: finetune(dataset, tmp_path / "other", replace(settings, model=str(other))),
        lambda: encode_dataset(dataset, other, SMALL),
    ):
        with pytest.raises(UserError, match=hashes):
            refused()


def test_the_command_encodes_and_says_so(footage, tmp_path):
    model = write("wan 2.1 t2v", tmp_path / "wan")
    words = ["prepare", footage, "-o", tmp_path / "set", "--min-frames", 5, "--workers", 1]
    sized = ["--latents", model, "--num-frames", 5, "--size", "64x64", "--device", "cpu"]
    done = CliRunner().invoke(cli, list(map(str, words + sized)))
    assert done.exit_code == 0, done.output
    encoder = EncodedAs.of(tmp_path / "set").encoder
    assert re.search(
        rf"latents of \d+ clips of 5 frames of 64x64 from 2 scenes \(2 new\), encoder {encoder}", done.stdout
    )
    clips = ClipCache.open(tmp_path / "set").split("train")
    assert all(rows_in(shard_of(tmp_path / "set", clip)) for clip in clips)
    for wrong, code, told in (
        (["--size", "64x64"], 2, "--num-frames and --size describe clips for --latents MODEL"),
        (["--latents", tmp_path / "none"], 2, "none does not exist"),
        (["--latents", model, "--num-frames", 6, "--device", "cpu"], 2, "got 6 (try 5 or 9)"),
        (["--latents", model, "--num-frames", 9, "--device", "cpu"], 1, "not of 9 frames of 64x64"),
    ):
        refused = CliRunner().invoke(cli, list(map(str, words + wrong)))
        assert refused.exit_code == code
        assert told in refused.stderr.strip().splitlines()[-1]


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(dataset, tmp_path, monkeypatch):
    model = write("wan 2.1 t2v", tmp_path / "wan")
    original, calls = Path.write_bytes, iter(range(99))

    def fails_second(path, content):
        if path.name.endswith(".safetensors.tmp") and next(calls) == 1:
            original(path, content[:9])
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, content)

    monkeypatch.setattr(Path, "write_bytes", fails_second)
    with pytest.raises(UserError, match=r"no space is left on the disk of .*set: make room, then run again"):
        encode_dataset(dataset, model, SMALL)
    assert len(list((dataset / "latents" / "clips").iterdir())) == 1
    assert encode_dataset(dataset, model, SMALL).new == 1
