"""The convolutional bricks of the motion networks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def he_conv(channels_in: int, channels_out: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the scale of its input (arXiv:1502.01852); torch's default loses half of it a layer."""
    layer = nn.Conv2d(channels_in, channels_out, size, stride, size // 2)
    nn.init.kaiming_normal_(layer.weight, a=0.1, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)
    return layer


def conv(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution and leaky ReLU; stride 2 halves an even size."""
    return nn.Sequential(he_conv(channels_in, channels_out, stride=stride), nn.LeakyReLU(0.1))


class Residual(nn.Module):
    """x + conv(act(conv(x))), the second convolution starting silent."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            he_conv(channels, channels), nn.LeakyReLU(0.1), nn.Conv2d(channels, channels, 3, 1, 1)
        )
        nn.init.zeros_(self.body[-1].weight)
        nn.init.zeros_(self.body[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.body(x), 0.1)


class Upsample(nn.Module):
    """Double the size: 1x1 convolution to four sub-pixels, shuffled, then a 3x3 convolution."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.body = nn.Sequential(
            he_conv(channels_in, 4 * channels_out, 1), nn.PixelShuffle(2), conv(channels_out, channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def joined(*parts: Tensor) -> Tensor:
    """All channels of [N, C, h, w], channels last: were one of the parts laid out otherwise, the whole would be, and
    turned round for the convolution that sees it."""
    return torch.cat([x.contiguous(memory_format=torch.channels_last) for x in parts], dim=1)


def silent_head(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3x3 convolution that says zero until it is trained."""
    head = nn.Conv2d(channels_in, channels_out, 3, 1, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def grown(x: Tensor, factor: int) -> Tensor:
    """[N, C, h, w] -> [N, C, factor h, factor w], bilinear."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
