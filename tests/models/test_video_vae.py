import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.models.cosine import aligned, basis, patterns
from vidcm.models.video_vae import REACH, VideoVAE


@pytest.fixture
def vae():
    torch.manual_seed(0)
    model = VideoVAE(latent_channels=4, widths=(8, 16, 16)).eval().requires_grad_(False)
    for parameter in model.parameters():
        if not parameter.any():  # convolutions that start silent
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def clip(frames, height=32, width=48, seed=1):
    return torch.rand(2, 3, frames, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("frames", [1, 5, 17])
def test_a_clip_of_1_and_4_n_frames_becomes_1_and_n_latents_and_back(vae, frames):
    mean, log_variance = vae.encode(clip(frames))
    assert mean.shape == log_variance.shape == (2, 4, 1 + frames // 4, 4, 6)
    assert vae.decode(mean).shape == (2, 3, frames, 32, 48)


@pytest.mark.parametrize("place", [1, 4, 5, 8, 9, 16])
def test_a_latent_knows_nothing_of_frames_after_its_own(vae, place):
    frames = clip(17)
    changed = torch.where(torch.arange(17)[:, None, None] >= place, 1 - frames, frames)
    before, after = vae.encode(frames)[0], vae.encode(changed)[0]
    whole = 1 + (place - 1) // 4  # latent frames that hold none of the changed pictures
    assert (before[:, :, :whole] == after[:, :, :whole]).all()
    assert (before[:, :, whole] != after[:, :, whole]).any()


def test_a_picture_knows_nothing_of_later_latents(vae):
    latents = vae.encode(clip(17))[0]
    changed = torch.where(torch.arange(5)[:, None, None] >= 3, -latents, latents)
    before, after = vae.decode(latents), vae.decode(changed)
    assert (before[:, :, :9] == after[:, :, :9]).all()
    assert (before[:, :, 9] != after[:, :, 9]).any()


def test_a_single_frame_encodes_as_the_first_of_a_clip(vae):
    frames = clip(9)
    torch.testing.assert_close(vae.encode(frames[:, :, :1])[0], vae.encode(frames)[0][:, :, :1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_chunks_are_the_whole(vae, chunk):
    frames = clip(29)
    vae.chunk = 100
    latents = vae.encode(frames)[0]
    pictures = vae.decode(latents)
    vae.chunk = chunk
    torch.testing.assert_close(vae.encode(frames)[0], latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(vae.decode(latents), pictures, atol=1e-5, rtol=1e-5)


def test_tiles_are_the_whole(vae):
    frames = clip(5, height=8 * (2 * REACH + 5), width=8 * (2 * REACH + 13))
    latents = vae.encode(frames)[0]
    pictures = vae.decode(latents)
    vae.enable_tiling(8)
    torch.testing.assert_close(vae.encode(frames)[0], latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(vae.decode(latents), pictures, atol=1e-5, rtol=1e-5)


def test_tiles_need_all_that_they_see(vae, monkeypatch):
    latents = torch.randn(1, 4, 2, 4, 40, generator=torch.Generator().manual_seed(0))
    pictures = vae.decode(latents)
    monkeypatch.setattr("vidcm.models.video_vae.REACH", REACH - 2)
    vae.enable_tiling(8)
    assert (vae.decode(latents) - pictures).abs().max() > 1e-4


@pytest.mark.parametrize("shape", [(4, 32, 32), (5, 30, 32), (5, 32, 33)])
def test_other_clips_are_refused(vae, shape):
    with pytest.raises(UserError, match=r"1 \+ a multiple of 4 and sides multiples of 8"):
        vae.encode(clip(*shape))


def test_scaled_latents_have_unit_variance_together(vae):
    spread = torch.tensor([0.1, 1.0, 2.0, 8.0])[:, None, None, None]
    latents = spread * torch.randn(8, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 2
    for _ in range(400):
        vae.follow(latents)
    scaled = vae.scale(latents)
    assert scaled.square().mean().item() == pytest.approx(1.0, abs=0.01)
    ratios = scaled.std((0, 2, 3, 4)) / scaled.std((0, 2, 3, 4))[0]
    torch.testing.assert_close(ratios, (spread.flatten() / 0.1).sqrt(), atol=0, rtol=0.02)
    torch.testing.assert_close(vae.unscale(scaled), latents, atol=1e-4, rtol=1e-4)


def test_it_starts_as_the_cosine_transform():
    model = VideoVAE(latent_channels=64, widths=(8, 16, 16))
    still = torch.rand(1, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 5, -1, -1)
    with torch.no_grad():
        latents = model.encode(still)[0]
        more = VideoVAE(latent_channels=192, widths=(8, 16, 16))
        whole = more.decode(more.encode(still)[0])
    first, later = patterns(64, 1, 8), patterns(64, 4, 8)
    shared = [i for i, pattern in enumerate(first) if pattern in later]
    assert len(shared) > 30
    torch.testing.assert_close(latents[:, shared, 0], latents[:, shared, 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(whole[:, :, 0], still[:, :, 0], atol=1e-4, rtol=1e-4)  # all patterns of a frame
    assert (model.decode(latents)[:, :, 0] - still[:, :, 0]).square().mean() > 1e-3  # not all of them


def test_patterns_are_orthonormal():
    rows = basis(patterns(30, 4, 8), 4, 8)
    torch.testing.assert_close(rows @ rows.T, torch.eye(30), atol=1e-5, rtol=0)
    first, later = patterns(24, 1, 8), patterns(24, 4, 8)
    lined = aligned(later, first)
    assert sorted(lined) == sorted(later)
    assert all(a == b for a, b in zip(lined, first, strict=True) if a in first or b in later)
