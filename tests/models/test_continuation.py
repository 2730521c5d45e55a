"""What moved on goes on moving: closed forms on even motion."""

import pytest
import torch

from vidcm.models.continuation import continued


@pytest.mark.parametrize(("step", "time"), [(1.0, 0.5), (0.5, 0.25), (2.0, 0.5)])
def test_even_motion_goes_on_evenly(step, time):
    flow = torch.tensor([3.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 24, 32)  # from the end back to the frame beyond
    back = continued(flow, step, torch.tensor([time]))
    torch.testing.assert_close(back, flow * time / step)


def test_motion_is_taken_along_with_what_moves():
    """A square that moves to the right by 4 in a unit of time: at 1 that is found 4 further right."""
    flow = torch.zeros(1, 2, 20, 40)
    flow[:, 0, 5:15, 10:20] = -4
    back = continued(flow, 1.0, torch.tensor([1.0]))
    assert back[0, 0, 10, 16].item() == pytest.approx(-4, abs=0.1)
    assert back[0, 0, 10, 19].item() == pytest.approx(-4, abs=0.1)
    assert -4 < back[0, 0, 10, 22].item() < -1  # where what stands still is seen too
    assert back[0, 0, 10, 25].item() == pytest.approx(0, abs=0.1)
    assert back[0, :, 2].abs().max() == 0


def test_each_instant_gets_its_own():
    flow = torch.full((2, 2, 8, 8), 2.0)
    back = continued(flow, 1.0, torch.tensor([0.25, 0.5]))
    assert back[:, 0, 4, 4].tolist() == pytest.approx([0.5, 1.0])
