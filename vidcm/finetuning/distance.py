"""How far made clips are from real ones, by fixed statistics of look, detail and motion (vidcm/metrics)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vidcm.evaluation.heldout import Held
from vidcm.evaluation.score import Scores
from vidcm.metrics.clip_features import Scaling, clip_features
from vidcm.metrics.kernel import polynomial_distance
from vidcm.metrics.neighbours import NEIGHBOURS, diversity, precision, recall
from vidcm.metrics.sliced import sliced_wasserstein

HEADINGS = {
    "sliced": "sliced Wasserstein",
    "kernel": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "diversity": "diversity",
}
DECIMALS = {"sliced": 3, "kernel": 3, "precision": 2, "recall": 2, "diversity": 2}


class Yardstick:
    """Distances to the clips `held`, in units of how far real clips of the dataset, `real`, differ from each other."""

    def __init__(self, held: Sequence[Held], real: Sequence[Held]):
        features = torch.cat([clip_features(one.clip) for one in held])
        others = [clip_features(one.clip) for one in real]
        self.scaling = Scaling.of(torch.cat([features, *others]))
        self.reference = self.scaling(features)

    def __call__(self, clips: Sequence[Tensor]) -> Scores:
        """clips: [1, 3, T, H, W] in 0..1 each. What so few say nothing of is None."""
        found = self.scaling(torch.cat([clip_features(clip) for clip in clips]))
        scores: Scores = dict.fromkeys(HEADINGS)
        scores["sliced"] = sliced_wasserstein(found, self.reference)
        if len(found) > 1:  # not the rbf one: its bandwidth is next to nothing where all clips are of one scene
            scores["kernel"] = polynomial_distance(found, self.reference)
        if min(len(found), len(self.reference)) > NEIGHBOURS:
            scores["precision"] = precision(found, self.reference)
            scores["recall"] = recall(found, self.reference)
            scores["diversity"] = diversity(found, self.reference)
        return scores
