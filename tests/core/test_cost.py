"""What is foretold of a call is what the call takes."""

import torch
import torch.nn.functional as F
from torch import nn

from vidcm.core.cost import Cost, cost_of


def net(device: str) -> nn.Module:
    """A convolution, attention of 4 heads and a product, over tokens in two layouts."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv1d(32, 256, 3, padding=1)
            self.outer = nn.Linear(256, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.inner(x).transpose(1, 2).contiguous().unflatten(2, (4, 64)).transpose(1, 2)
            y = F.scaled_dot_product_attention(y, key=y, value=y)
            return self.outer(y.transpose(1, 2).flatten(2)).transpose(1, 2) + x

    with torch.device(device):
        return Net()


def allocated(call) -> int:
    """The most that PyTorch's allocator had given out at one time during a call."""
    with torch.no_grad(), torch.profiler.profile(profile_memory=True, acc_events=True) as seen:
        call()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    peak = now = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def test_memory_is_what_the_allocator_gives_out():
    real, foretold = net("cpu"), net("meta")
    x = torch.randn(2, 32, 3000)
    seen = x.to("meta")
    found = cost_of(lambda: foretold(seen))
    assert cost_of(lambda: real(x)) == found
    measured = allocated(lambda: real(x))
    assert abs(found.bytes - measured) < 0.1 * measured


def test_a_multiply_add_is_two_operations():
    foretold, tokens = net("meta"), 2 * 3000
    found = cost_of(lambda: foretold(torch.empty(2, 32, 3000, device="meta")))
    convolution, product = 2 * tokens * 32 * 256 * 3, 2 * tokens * 256 * 32
    assert found.flops == convolution + product + 2 * 2 * tokens * 3000 * 256


def test_what_is_let_go_is_free_and_views_and_weights_cost_nothing():
    weight = torch.empty(1000, device="meta")
    chain = cost_of(lambda: [weight + 1 + 1 + 1, None][1])
    assert chain.bytes == 2 * weight.nbytes  # of three sums, two at a time
    assert cost_of(lambda: weight.view(10, 100).mT[2:]) == Cost(0, 0)
    assert cost_of(lambda: weight.add_(1)) == Cost(0, 0)
