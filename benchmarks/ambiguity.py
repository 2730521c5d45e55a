"""What a sampled motion is worth, where motion is ambiguous and where it is not: regression beside ECT, plain and
within the product's sampler.

    python -m benchmarks.ambiguity FOOTAGE/clips --regression runs/motion-regression/model --ect runs/motion-ect/model

Pairs of frames two apart are rebuilt and grouped by how far DIS sees them move: the lower, middle and upper third.
All rows have the VAE of --model; of --regression and --ect the transformer is taken, which must have been trained on
the same latents. A row with noise has the scores of a single sample, on average over seeds. `energy` is the energy
score of patches (lower is better), by which a sampler that knows its doubt beats its own mean; `apart` is how far two
samples are from each other, in 8-bit levels. `--page docs/regression.md` writes the tables there, between its markers.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.ingredients import disbelieving, exchanged, network_of, silent, unled
from benchmarks.page import fill_page
from benchmarks.rows import Model, Row, Sample, Scores, score
from vidcm.core.errors import UserError
from vidcm.evaluation.ladder import motion_of
from vidcm.evaluation.windows import Window, find_clips, read_windows

GROUPS = ("all", "small motion", "middle motion", "large motion")
COLUMNS = {
    "psnr": ("PSNR dB", ".2f"),
    "mpsnr": ("moving dB", ".2f"),
    "gmsd": ("GMSD", ".4f"),
    "sharpness": ("sharpness", ".3f"),
    "flicker": ("flicker", ".2f"),
    "energy": ("energy", ".2f"),
    "apart": ("apart", ".2f"),
}
BEGIN, END = "<!-- benchmarks.ambiguity: begin -->", "<!-- benchmarks.ambiguity: end -->"
WHOLE = {"trust": 1.0, "spread": 1.0}  # a sampler that is not anchored
SHRUNK = 0.6  # of an answer: what a network without belief was shipped with


def rows_of(pipe: Any, regression: Any | None, ect: Any | None, teacher_steps: int) -> Iterator[Row]:
    yield Row("draft", answer(pipe, num_inference_steps=0), False)
    yield from alone(exchanged(pipe, vae=disbelieving(pipe.vae)), regression, ect)
    yield from believing(pipe, regression, ect)
    yield from drawn(pipe, regression, ect)
    yield Row("the product, 1 step", answer(pipe, num_inference_steps=1), False)
    yield Row("the product, 2 steps", answer(pipe), True)
    if pipe.teacher is not None:
        taught = Model(pipe, remember=True).rung("teacher", teacher_steps=teacher_steps)
        yield Row(f"belief, drawn, teacher, {teacher_steps} steps", taught, True)


def alone(pipe: Any, regression: Any | None, ect: Any | None) -> Iterator[Row]:
    """Of a pipeline without belief: the networks' own answers, and what is left of them where they are shrunk."""
    for network, name in ((regression, "regression"), (ect, "ECT, 1 step")):
        for trust, told in ((1.0, ""), (SHRUNK, f", {SHRUNK:g} of it")):
            if network is not None:
                asked = exchanged(pipe, network=network, trust=trust)
                yield Row(name + told, answer(asked, num_inference_steps=1), False)
    if ect is not None:
        yield Row("ECT, 2 steps", answer(exchanged(pipe, network=ect, trust=1.0)), True)
        yield Row("ECT, 2 steps, whole samples", answer(exchanged(pipe, network=ect, **WHOLE)), True)


def believing(pipe: Any, regression: Any | None, ect: Any | None) -> Iterator[Row]:
    """What the frames around let expect, in place of a part of each answer; samples have no draw of it."""
    yield Row("belief", answer(pipe, num_inference_steps=1, callback_on_step_end=silent), False)
    for network, name in ((regression, "belief, regression"), (ect, "belief, ECT, 1 step")):
        if network is not None:
            yield Row(name, answer(exchanged(pipe, network=network), num_inference_steps=1), False)
    if ect is not None:
        yield Row("belief, ECT, 2 steps", answer(exchanged(pipe, network=ect, sides=0.0)), True)


def drawn(pipe: Any, regression: Any | None, ect: Any | None) -> Iterator[Row]:
    """The product's sampler, with other networks in it."""
    yield Row("belief, drawn", answer(pipe, callback_on_step_end=silent), True)
    if regression is not None:
        yield Row("belief, drawn, regression", answer(exchanged(pipe, network=regression, spread=0.0)), True)
    if ect is not None:
        yield Row("belief, drawn, ECT, 2 steps", answer(exchanged(pipe, network=ect)), True)
        yield Row("belief, drawn, ECT, noise of that size", misled(exchanged(pipe, network=ect)), True)


def answer(pipe: Any, **options: Any) -> Sample:
    return Model(pipe, remember=True).answer(**options)


def misled(pipe: Any) -> Sample:
    model = Model(pipe, remember=True)

    def sample(window: Window, seed: int) -> Any:
        return model.answer(callback_on_step_end=unled(seed))(window, seed)

    return sample


def thirds(motions: list[float]) -> list[str]:
    """The group of each window, by its rank in motion."""
    order = sorted(range(len(motions)), key=motions.__getitem__)
    place = {index: rank for rank, index in enumerate(order)}
    return [GROUPS[1 + 3 * place[index] // len(motions)] for index in range(len(motions))]


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of each window its group and the scores of each row."""
    from vidcm.pipelines import FrameInterpolationPipeline

    pipe = FrameInterpolationPipeline.from_pretrained(options.model)
    networks = (folder and network_of(folder, pipe) for folder in (options.regression, options.ect))
    rows = list(rows_of(pipe, *networks, options.teacher_steps))
    paths = find_clips(options.clips, options.split)
    windows = [w for path in paths for w in read_windows(path, 448, 256, 2, options.pairs) if not w.cut]
    found = []
    for window, group in zip(windows, thirds([motion_of(window) for window in windows]), strict=True):
        found.append({"group": group, "rows": {row.name: score(row, window, options.seeds) for row in rows}})
        print(f"{len(found)}/{len(windows)}", file=sys.stderr, flush=True)
    return found


def tables(windows: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown, a table a group; each window counts once."""
    from vidcm.evaluation.score import average

    for group in GROUPS:
        members = [window["rows"] for window in windows if group in ("all", window["group"])]
        if not members:
            continue
        yield f"**{group.capitalize()}** ({len(members)} pairs)\n"
        yield f"| | {' | '.join(title for title, _ in COLUMNS.values())} |\n|---{'|---' * len(COLUMNS)}|"
        for name, scores in average(members).items():
            yield f"| {name} | {' | '.join(cells(scores))} |"
        yield ""


def cells(scores: Scores) -> Iterator[str]:
    for key, (_, form) in COLUMNS.items():
        yield "" if scores[key] is None else f"{scores[key]:{form}}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, help="a motion model; default: the shipped one")
    parser.add_argument("--regression", type=Path, help="a model of benchmarks.regression")
    parser.add_argument("--ect", type=Path, help="a model of as much compute: diffusion, then plain ECT")
    parser.add_argument("--split", default="val")
    parser.add_argument("--pairs", type=int, default=3, help="pairs a clip")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--teacher-steps", type=int, default=16)
    parser.add_argument("--page", type=Path, help="a page with the markers, such as docs/regression.md")
    parser.add_argument("--json", type=Path, help="write the scores of each pair here, too")
    options = parser.parse_args()
    try:
        windows = compare(options)
    except UserError as error:
        sys.exit(f"error: {error}")
    if options.json:
        options.json.write_text(json.dumps(windows, indent=1) + "\n", encoding="utf-8")
    told = "\n".join(tables(windows)).strip()
    print(told)
    if options.page:
        fill_page(options.page, told, BEGIN, END)


if __name__ == "__main__":
    main()
