"""How a set of drawn clips compares with held-out clips: distances and nearest neighbours, with their noise floors."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from vidcm.metrics.clip_features import Scaling, clip_features
from vidcm.metrics.floor import judged
from vidcm.metrics.kernel import polynomial_distance, rbf_distance
from vidcm.metrics.neighbours import diversity, precision, recall
from vidcm.metrics.sliced import sliced_wasserstein

METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "sliced": sliced_wasserstein,
    "rbf": rbf_distance,
    "polynomial": polynomial_distance,
    "precision": precision,
    "recall": recall,
    "diversity": diversity,
}


class Reference:
    """Held-out clips, uint8 [N, 3, T, H, W]. groups: names of what each was cut from, where halves keep those whole."""

    def __init__(self, clips: Tensor, groups: Sequence[object] | None = None) -> None:
        self.groups = groups
        features = clip_features(as_pictures(clips))
        self.scaling = Scaling.of(features)
        self.features = self.scaling(features)

    def scores(self, clips: Tensor, *, paired: bool = False) -> dict[str, dict[str, float]]:
        """metric -> {value, floor, deviation}: see `vidcm.metrics.floor`.

        clips: uint8 [M, 3, T, H, W]; paired: clip i was told frames of held-out clip i."""
        features = self.scaling(clip_features(as_pictures(clips)))
        return {
            name: asdict(judged(metric, features, self.features, groups=self.groups, paired=paired))
            for name, metric in METRICS.items()
        }


def as_pictures(clips: Tensor) -> Tensor:
    """uint8 -> float32 in 0..1."""
    return clips.to(torch.float32) / 255
