import torch

from vidcm.models.projection import project_flow, splat
from vidcm.models.warp import warp


def constant_flow(x, y, height=12, width=16):
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


def test_splatting_keeps_what_stays_inside_and_puts_it_where_the_flow_leads():
    values = torch.zeros(1, 1, 12, 16)
    values[0, 0, 5, 6] = 3.0
    total, weight = splat(values, constant_flow(2.25, -1.0), torch.ones_like(values))
    torch.testing.assert_close(total[0, 0, 4, 8], torch.tensor(2.25))  # three quarters here,
    torch.testing.assert_close(total[0, 0, 4, 9], torch.tensor(0.75))  # one quarter in the next cell
    torch.testing.assert_close(total.sum(), torch.tensor(3.0))
    assert weight[0, 0, 6, 8] == 1


def test_a_steady_motion_projects_onto_itself():
    forward, tau = constant_flow(4.0, -2.0), torch.tensor([0.25])
    (to_first, to_last), spread = project_flow(forward, -forward, tau, 2 * (torch.rand(1, 3, 12, 16),))
    assert spread.max() < 1e-3
    torch.testing.assert_close(to_first, -0.25 * forward)
    torch.testing.assert_close(to_last, 0.75 * forward)


def test_a_moving_object_carries_its_flow_along():
    forward = torch.zeros(1, 2, 16, 32)
    forward[:, 0, 4:12, 4:14] = 6.0  # a block moves right by 6 before a still background
    backward = torch.zeros(1, 2, 16, 32)
    backward[:, 0, 4:12, 10:20] = -6.0
    scene = torch.rand(1, 3, 16, 32, generator=torch.Generator().manual_seed(0))
    block = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(1))
    first, last = scene.clone(), scene.clone()
    first[..., 4:12, 4:14], last[..., 4:12, 10:20] = block, block
    (to_first, to_last), spread = project_flow(forward, backward, torch.tensor([0.5]), (first, last))
    inside = (0, 0, slice(5, 11), slice(11, 13))  # half way it stands at 7..17; no background lands on its middle
    torch.testing.assert_close(to_first[inside], torch.full((6, 2), -3.0), atol=0.05, rtol=0)
    torch.testing.assert_close(to_last[inside], torch.full((6, 2), 3.0), atol=0.05, rtol=0)
    assert to_first[0, 0, :3].abs().max() == 0
    assert to_first[0, 0, 5:11, 22:].abs().max() == 0
    assert spread[0, 0, :3].max() == 0


def test_each_end_leads_back_to_the_same_scene_point():
    """A picture and its shifted copy, warped to any instant, show the same thing."""
    first = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    last = first.roll(4, dims=3)
    forward = constant_flow(4.0, 0.0, 24, 32)
    (to_first, to_last), _ = project_flow(forward, -forward, torch.tensor([0.5]), (first, last))
    torch.testing.assert_close(warp(first, to_first)[..., 4:-4], warp(last, to_last)[..., 4:-4])
    torch.testing.assert_close(warp(first, to_first)[..., 4:-4], first.roll(2, dims=3)[..., 4:-4])


def test_of_two_motions_the_one_that_explains_the_ends_is_taken():
    """The forward flow is right, the backward one is nonsense: their average would be neither."""
    first = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    forward, nonsense = constant_flow(4.0, 0.0, 24, 32), constant_flow(4.0, 0.0, 24, 32)
    (to_first, _), _ = project_flow(forward, nonsense, torch.tensor([0.5]), (first, first.roll(4, dims=3)))
    torch.testing.assert_close(to_first[..., 8:-8], constant_flow(-2.0, 0.0, 24, 16), atol=0.05, rtol=0)


def test_beside_a_moving_thing_its_motion_is_not_taken_where_it_does_not_lead():
    """On the uncovered background any motion may happen to match; only the still background's leads there."""
    forward, backward = torch.zeros(2, 1, 2, 24, 48)
    forward[:, 0, 6:18, 8:20] = 8.0  # a block moves right by 8 before a still and almost flat background
    backward[:, 0, 6:18, 16:28] = -8.0
    first = 0.5 + 0.02 * torch.rand(1, 3, 24, 48, generator=torch.Generator().manual_seed(0))
    last = first.clone()
    first[..., 6:18, 8:20], last[..., 6:18, 16:28] = 0.9, 0.9
    (to_first, _), _ = project_flow(forward, backward, torch.tensor([0.5]), (first, last))
    assert to_first[0, 0, 6:18, 27:].abs().max() < 1.0  # the block stands at 12..24 half way
    assert to_first[0, 0, 6:18, :9].abs().max() < 1.0
