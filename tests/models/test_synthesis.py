import pytest
import torch
import torch.nn.functional as F

from vidcm.core import large
from vidcm.models.motion_decoder import Motion
from vidcm.models.synthesis import Synthesis, grown_flow, grown_rows, warp_in_strips
from vidcm.models.warp import resize_flow, warp

SIZE = 134, 198


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def synthesis() -> Synthesis:
    made = Synthesis()
    for index, weight in enumerate(made.parameters()):  # nothing of it silent
        weight.data = 0.1 * rand(*weight.shape, seed=index)
    return made


@pytest.fixture
def motion() -> Motion:
    flows = (6 * rand(1, 2, 20, 30, seed=1), 6 * rand(1, 2, 20, 30, seed=2))
    return Motion(flows, rand(1, 1, 20, 30, seed=3), rand(1, 16, 20, 30, seed=4), [])


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(167, 251), (20, 30), (400, 31)])
def test_rows_of_what_grows_are_those_of_the_whole(size, order):
    x = rand(2, 3, 20, 30).contiguous(memory_format=order)
    whole = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    for top, end in ((0, 1), (0, size[0]), (7, 20), (size[0] - 2, size[0])):
        torch.testing.assert_close(grown_rows(x, size, top, end), whole[:, :, top:end], atol=1e-5, rtol=0)
    flow = grown_flow(x[:, :2], size, 3, 19)
    torch.testing.assert_close(flow, resize_flow(x[:, :2], size)[:, :, 3:19], atol=1e-4, rtol=0)  # up to 50 pixels long


@pytest.mark.parametrize("rows", [2, 16, 40, 1000])  # 20 is the least there is
def test_a_large_picture_is_what_it_would_be_at_once(synthesis, motion, rows, monkeypatch):
    """Flows reach over several strips: 40 pixels and more."""
    ends = [grown_rows(rand(1, 3, 67, 99, seed=seed).sigmoid(), SIZE, 0, SIZE[0]) for seed in (5, 6)]
    whole = synthesis(motion, *ends, torch.ones(1, 2), strip=SIZE[0] * SIZE[1])
    monkeypatch.setattr(large, "LARGE", 0)
    tiled = synthesis(motion, *ends, torch.ones(1, 2), strip=rows * SIZE[1])
    for one, two in zip(whole, tiled, strict=True):
        assert (one - two).abs().max() < 1e-4  # a fortieth of a level of eight bits


@pytest.mark.parametrize("limit", [0, 10**9])
def test_what_goes_on_is_warped_in_strips_too(motion, limit, monkeypatch):
    image, flow = grown_rows(rand(1, 3, 67, 99).sigmoid(), SIZE, 0, SIZE[0]), motion.flows[0]
    whole = warp(image, resize_flow(flow, SIZE), "bicubic")
    monkeypatch.setattr(large, "LARGE", limit)
    assert (warp_in_strips(image, flow, strip=5 * SIZE[1]) - whole).abs().max() < 1e-4


@pytest.mark.parametrize("planes", [3, 4])
@pytest.mark.parametrize("present", [(1.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_blend_is_what_the_weights_say(synthesis, planes, present, order):
    """Written out with the squares as PyTorch orders them."""
    first, last = (rand(2, planes, 12, 20, seed=seed).sigmoid().contiguous(memory_format=order) for seed in (5, 6))
    mask, hidden, there = rand(2, 1, 12, 20), rand(2, 16, 6, 10), torch.tensor([present] * 2)
    moving = torch.zeros_like(first), torch.ones_like(first)  # in their places: nothing of it stands still
    flows = rand(2, 2, 12, 20), rand(2, 2, 12, 20, seed=1)
    found, doubt = synthesis.blend((first, last), moving, flows, mask, hidden, there)

    last = last if present[1] else first
    seen = torch.cat((first[:, :3] - 0.5, last[:, :3] - 0.5, mask / 4), dim=1)
    change = synthesis.head(synthesis.body(torch.cat((F.pixel_unshuffle(seen, 2), hidden), dim=1)))
    change, gap = F.pixel_shuffle(change, 2), (first - last)[:, :3].abs().amax(1, keepdim=True)
    choice = torch.sigmoid(mask + change[:, 3:])
    wanted = choice * first + (1 - choice) * last
    wanted[:, :3] += change[:, :3].tanh() * gap
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(doubt, 4 * gap * choice * (1 - choice), atol=1e-5, rtol=1e-5)


def test_strips_take_a_part_of_the_memory(synthesis, motion, monkeypatch):
    """Of large pictures: beyond what is returned, less is held the lower the strip."""
    from vidcm.core.cost import cost_of

    monkeypatch.setattr(large, "LARGE", 0)
    size, synthesis = (1024, 1024), synthesis.to("meta")
    flows, mask, hidden, _ = vars(motion).values()
    told = Motion(tuple(flow.to("meta") for flow in flows), mask.to("meta"), hidden.to("meta"), [])
    ends = [torch.empty(1, 3, *size, device="meta") for _ in range(2)]
    returned = 4 * 4 * size[0] * size[1]
    tall, low = (
        cost_of(lambda rows=rows: synthesis(told, *ends, torch.ones(1, 2, device="meta"), strip=rows * size[1])).bytes
        - returned
        for rows in (512, 64)
    )
    assert low < tall / 5
