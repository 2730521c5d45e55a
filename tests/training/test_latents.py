"""The latent cache: what the frozen VAE encodes, once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.training import sources
from vidcm.training.latents import LatentBatches, check_space, encode_shards, is_whole, latent_key, rows_of
from vidcm.training.loop import train
from vidcm.training.sources import encode_batch, open_batches, open_latents
from vidcm.training.start import start_processes

from .tiny import TinyBatches, TinyFamily

SIZE = 4


@pytest.fixture
def settings(config):
    data = {"batch_size": SIZE}
    return config("run/deep", stage="ect", data=data, latents={"samples": 40, "shard": 9})  # 5 shards of 2 batches


@pytest.fixture
def family():
    torch.manual_seed(0)
    return TinyFamily.create({}).without_chance()


def opened(settings, family, batches=None, clips=("a",)):
    return open_latents(settings, family, start_processes(settings), batches or TinyBatches(SIZE), list(clips))


def seen(cached: LatentBatches, numbers) -> list[bytes]:
    """Samples by their x0, as bytes: what can be counted."""
    return [row.numpy().tobytes() for number in numbers for row in cached.batch(number)["x0"]]


def test_a_cached_sample_is_what_the_vae_encodes(settings, family):
    cached = opened(settings, family)
    truth = {}
    for number, batch in zip(range(10), TinyBatches(SIZE).iterate(0), strict=False):
        x0, condition = family.encode(batch, generator=torch.Generator())
        for i in range(SIZE):
            truth[batch["tau"][i].numpy().tobytes()] = x0[i], {name: value[i] for name, value in condition.items()}
        assert number < 10
    checked = 0
    for number in range(cached.per_epoch):
        batch = cached.batch(number)
        for i in range(SIZE):
            x0, condition = truth[batch["condition"]["tau"][i].numpy().tobytes()]  # tau is kept to the last bit
            torch.testing.assert_close(batch["x0"][i], x0, rtol=2**-11, atol=1e-7)  # float16 keeps 11 bits
            torch.testing.assert_close(batch["condition"]["told"][i], condition["told"], rtol=2**-11, atol=1e-7)
            checked += 1
    assert checked >= 32


def test_an_epoch_goes_through_every_sample_once_and_the_next_in_another_order(settings, family):
    cached = opened(settings, family)
    first = seen(cached, range(cached.per_epoch))
    second = seen(cached, range(cached.per_epoch, 2 * cached.per_epoch))
    assert len(first) == len(set(first)) == 40  # 7 batches of one shape and 3 of another, none left over
    assert set(first) == set(second)
    assert first != second


def test_batches_are_a_pure_function_of_seed_and_number(settings, family):
    cached, again = opened(settings, family), opened(settings, family)
    assert seen(cached, [7]) == seen(again, [7])
    stream = again.iterate(6)
    next(stream)
    assert next(stream)["x0"].equal(cached.batch(7)["x0"])


def test_two_ranks_see_what_one_with_double_batches_sees(settings, family):
    """And so do two batches a step."""
    folder = next((Path(settings.out).parent / "latents").iterdir()) if opened(settings, family) else None
    one = LatentBatches(folder, 5, 2 * SIZE, seed=3)
    two = [LatentBatches(folder, 5, SIZE, seed=3, rank=rank, world=2) for rank in (0, 1)]
    parts = LatentBatches(folder, 5, SIZE, seed=3, parts=2)
    for number in range(2 * one.per_epoch):
        assert torch.cat([cached.batch(number)["x0"] for cached in two]).equal(one.batch(number)["x0"])
        both = (parts.batch(2 * number), parts.batch(2 * number + 1))
        assert torch.cat([batch["x0"] for batch in both]).equal(one.batch(number)["x0"])


def test_an_interrupted_encoding_continues_at_the_first_missing_shard(settings, family):
    stop = TinyBatches(SIZE, before=lambda number: 1 / 0 if number == 7 else None)  # in the fourth shard
    with pytest.raises(ZeroDivisionError):
        opened(settings, family, stop)
    again = TinyBatches(SIZE)
    cached = opened(settings, family, again)
    assert again.made == [6, 7, 8, 9]
    folder = next((Path(settings.out).parent / "latents").iterdir())
    fresh = opened(replace(settings, latents=replace(settings.latents, dir=str(folder.parent / "fresh"))), family)
    assert seen(cached, range(10)) == seen(fresh, range(10))


def test_a_shard_cut_short_is_made_again(settings, family):
    opened(settings, family)
    folder = next((Path(settings.out).parent / "latents").iterdir())
    file = next((folder / "shard-00002").glob("*.x0.npy"))
    file.write_bytes(file.read_bytes()[:-1])
    assert not is_whole(folder / "shard-00002")
    again = TinyBatches(SIZE)
    opened(settings, family, again)
    assert again.made == [4, 5]


def test_the_cache_is_keyed_by_weights_data_seed_and_clips(settings, family):
    made = set()

    def folders(**changes):
        opened(replace(settings, **changes.pop("settings", {})), family, **changes)
        now = {path.name for path in (Path(settings.out).parent / "latents").iterdir()}
        fresh = now - made
        made.update(now)
        return len(fresh)

    assert folders() == 1
    assert folders() == 0
    assert folders(settings={"data": replace(settings.data, workers=7, cache="elsewhere")}) == 0
    assert folders(settings={"data": replace(settings.data, flip=0.1)}) == 1
    assert folders(settings={"seed": 1}) == 1
    assert folders(clips=("a", "b")) == 1
    with torch.no_grad():
        family.vae.encoder[0].weight[0, 0, 0, 0, 0] += 1e-6
    assert folders() == 1
    with torch.no_grad():
        family.dit[0].weight.add_(1.0)  # the denoiser has no part in it
    assert folders() == 0


def test_an_objective_trains_from_cached_latents(settings, family):
    settings = replace(settings, stage="diffusion", steps=60, log_every=20)
    train(settings, family=family, batches=opened(settings, family))
    lines = [json.loads(line) for line in (Path(settings.out) / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_values_that_float16_cannot_hold_are_an_error():
    with pytest.raises(UserError, match=r"condition\.told holds values that are not finite in float16"):
        rows_of(torch.zeros(1, 1, 1, 1, 1), {"told": torch.full((1, 1, 1), 1e6)})


def test_too_few_latents_for_a_batch_are_an_error(settings, family):
    with pytest.raises(UserError, match=r"too few latents .* for a batch of 400: raise latents\.samples"):
        opened(replace(settings, latents=replace(settings.latents, batch_size=400)), family)


def test_a_disk_too_small_is_noticed_after_the_first_shard(settings, family):
    opened(settings, family)
    folder = next((Path(settings.out).parent / "latents").iterdir())
    check_space(folder, "shard-00000", 1)
    with pytest.raises(UserError, match=r"the latents need .* GiB more"):
        check_space(folder, "shard-00000", 10**12)


def test_encoding_noise_is_keyed_by_the_batch_number(settings, family):
    family.noise = 0.1
    batch = next(TinyBatches(SIZE).iterate(0))
    device = torch.device("cpu")
    first, again, other = (encode_batch(settings, family, device, batch, number)["x0"] for number in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_the_key_is_short_and_stable(family):
    assert latent_key(family.vae, {"a": 1}) == latent_key(family.vae, json.loads('{"a": 1}'))
    assert len(latent_key(family.vae, {})) == 16


def test_nothing_to_encode_opens_no_stream(tmp_path):
    encode_shards(tmp_path, range(0), 2, None, None)


def test_runs_of_other_seeds_share_what_is_encoded_with_one_seed(settings, family):
    shared = replace(settings, latents=replace(settings.latents, seed=0))
    first, second = (opened(replace(shared, seed=seed), family) for seed in (0, 5))
    assert len(list((Path(settings.out).parent / "latents").iterdir())) == 1
    assert not torch.equal(first.batch(0)["x0"], second.batch(0)["x0"])  # in another order
    opened(replace(settings, seed=5), family)
    assert len(list((Path(settings.out).parent / "latents").iterdir())) == 2


def test_batches_are_told_how_many_make_a_step(settings, family, monkeypatch):
    """So that all of a step have equally many frames."""
    settings = replace(settings, grad_accumulation=2)
    assert opened(settings, family).parts == 2
    monkeypatch.setattr(sources, "open_cache", lambda data: None)
    monkeypatch.setattr(sources, "Batches", lambda data, cache, **place: place)
    of_clips = replace(settings, latents=replace(settings.latents, samples=0))
    assert open_batches(of_clips, family, start_processes(settings)) == {"rank": 0, "world": 1, "parts": 2}
