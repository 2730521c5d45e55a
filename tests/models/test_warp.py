import torch

from vidcm.models.warp import project_flow, resize_flow, splat, warp


def ramp(height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((x, y)).float()[None]


def constant_flow(x, y, height=12, width=16):
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


def test_warp_looks_up_where_the_flow_points():
    picture = ramp(12, 16)  # every pixel says where it is
    moved = warp(picture, constant_flow(1.5, -2.25))
    inside = (slice(None), slice(None), slice(3, 11), slice(0, 14))
    torch.testing.assert_close(moved[inside], (picture + constant_flow(1.5, -2.25))[inside])


def test_warp_repeats_the_border_outside():
    moved = warp(ramp(12, 16), constant_flow(-100.0, 0.0))
    assert (moved[:, 0] == 0).all()


def test_warp_of_a_half_precision_picture_keeps_exact_positions():
    picture = torch.zeros(1, 1, 4, 2048)
    picture[..., 1999] = 1
    moved = warp(picture.bfloat16(), constant_flow(1.0, 0.0, 4, 2048))
    assert moved[0, 0, 1].float().argmax() == 1998
    torch.testing.assert_close(moved.float().sum(), torch.tensor(4.0))


def test_resizing_a_flow_scales_what_it_says():
    small = constant_flow(1.0, 2.0, 6, 8)
    torch.testing.assert_close(resize_flow(small, (12, 32)), constant_flow(4.0, 4.0, 12, 32))


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
    to_first, to_last = project_flow(forward, -forward, tau)
    torch.testing.assert_close(to_first, -0.25 * forward)
    torch.testing.assert_close(to_last, 0.75 * forward)


def test_a_moving_object_carries_its_flow_along():
    forward = torch.zeros(1, 2, 16, 32)
    forward[:, 0, 4:12, 4:14] = 6.0  # a block moves right by 6 before a still background
    backward = torch.zeros(1, 2, 16, 32)
    backward[:, 0, 4:12, 10:20] = -6.0
    to_first, to_last = project_flow(forward, backward, torch.tensor([0.5]))
    inside = (0, 0, slice(5, 11), slice(11, 13))  # half way it stands at 7..17; no background lands on its middle
    torch.testing.assert_close(to_first[inside], torch.full((6, 2), -3.0))
    torch.testing.assert_close(to_last[inside], torch.full((6, 2), 3.0))
    assert to_first[0, 0, :3].abs().max() == 0
    assert to_first[0, 0, 5:11, 22:].abs().max() == 0


def test_each_end_leads_back_to_the_same_scene_point():
    """A picture and its shifted copy, warped to any instant, show the same thing."""
    first = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    last = first.roll(4, dims=3)
    forward = constant_flow(4.0, 0.0, 24, 32)
    to_first, to_last = project_flow(forward, -forward, torch.tensor([0.5]))
    torch.testing.assert_close(warp(first, to_first)[..., 4:-4], warp(last, to_last)[..., 4:-4])
    torch.testing.assert_close(warp(first, to_first)[..., 4:-4], first.roll(2, dims=3)[..., 4:-4])
