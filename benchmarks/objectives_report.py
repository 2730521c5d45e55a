"""What the comparison of objectives found: tables in Markdown, curves as PNG."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.chart import save_chart

BEGIN, END = "<!-- benchmarks.objectives: begin -->", "<!-- benchmarks.objectives: end -->"
TITLES = {"none": "No frame given", "first": "First frame given", "ends": "First and last frame given"}
HEAD = (
    "| | evaluations | sliced | kernel | precision | recall | diversity | apart | sampler ms | whole ms | MiB |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)
CHARTS = (("steps", "evaluations", "network evaluations"), ("time", "sampler_cpu_s", "sampler, CPU ms a clip"))

Rows = list[dict[str, Any]]


def write_report(results: dict[str, Any], out: Path) -> str:
    """OUT/table.md and the charts; returns the tables."""
    table = "\n".join(tables(results))
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    for given in results["settings"]["given"]:
        for name, x, x_name in CHARTS:
            curves = dict(curves_of(results, given, x))
            if any(curves.values()):
                title = f"{TITLES[given]}: sliced Wasserstein distance to held-out clips"
                save_chart(out / f"{name}-{given}.png", curves, title, x_name, "distance", floors(results, given))
    return table


def tables(results: dict[str, Any]) -> Iterator[str]:
    seen = results["settings"]
    yield (
        f"{seen['clips']} clips a row; tuning on {seen['samples']} samples"
        + (f", at most {seen['minutes']:g} minutes" if seen["minutes"] else "")
        + "; means over seeds, ± their standard deviation. The lower a distance the better; precision, recall and "
        "diversity are best near the first row."
    )
    for given in seen["given"]:
        rows = {name: list(picked(cell, given)) for name, cell in results["cells"].items()}
        if not any(rows.values()):
            continue
        yield f"\n**{TITLES[given]}**\n\n{HEAD}"
        some = next(row for each in rows.values() for row in each)
        yield line("held-out half against half", "", [{"scores": floors_of(some)}])
        if given == "none":
            yield line("training clips", "", [{"scores": results["training_clips"]}])
            yield line("held-out clips through the VAE", "", [{"scores": results["coded"]}])
        for label, count, same in grouped(rows):
            yield line(label, str(count), same)
    yield "\n" + "\n".join(tuning(results["cells"]))


def grouped(rows: dict[str, Rows]) -> Iterator[tuple[str, int, Rows]]:
    """(name, evaluations, its rows over the seeds), teacher first."""
    kinds = {key(cell, row) for cell, each in rows.items() for row in each}
    for kind in sorted(kinds, key=lambda kind: (kind[0] != "teacher", kind)):
        yield kind[0], kind[1], [row for cell, each in rows.items() for row in each if key(cell, row) == kind]


def key(cell: str, row: dict[str, Any]) -> tuple[str, int]:
    name = cell.rpartition("-")[0] or cell
    return (f"{name} hybrid" if row["kind"] == "hybrid" else name), row["evaluations"]


def picked(cell: dict[str, Any], given: str) -> Iterable[dict[str, Any]]:
    return (row for row in cell["rows"] if row["given"] == given)


def floors_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: {"value": score["floor"]} for name, score in row["scores"].items()}


def line(label: str, evaluations: str, rows: Rows) -> str:
    digits = {"sliced": 3, "rbf": 4, "precision": 2, "recall": 2, "diversity": 2}
    scores = [spread([row["scores"][name]["value"] for row in rows], count) for name, count in digits.items()]
    apart = [row["apart"] for row in rows if "apart" in row]
    times = [spread([1000 * row[name] for row in rows if name in row], 0) for name in ("sampler_cpu_s", "whole_cpu_s")]
    memory = [row["peak_mib"] for row in rows if "peak_mib" in row]
    cells = [label, evaluations, *scores, spread(apart, 2), *times, f"{max(memory):.0f}" if memory else ""]
    return "| " + " | ".join(cells) + " |"


def spread(values: list[float], digits: int) -> str:
    if not values:
        return ""
    more = f" ± {stdev(values):.{digits}f}" if len(values) > 1 and digits else ""
    return f"{mean(values):.{digits}f}{more}"


def tuning(cells: dict[str, Any]) -> Iterator[str]:
    """What the tuning took."""
    yield "| tuned by | runs | samples | minutes | samples a second | MiB | exact derivative | middle angle |"
    yield "|---|---|---|---|---|---|---|---|"
    names = sorted({name.rpartition("-")[0] for name, cell in cells.items() if cell["tuning"]})
    for name in names:
        same = [cell for label, cell in cells.items() if label.rpartition("-")[0] == name]
        took = [cell["tuning"] for cell in same]
        exact = [each["jvp_exact"] for each in took if "jvp_exact" in each]
        error = max((each.get("jvp_error", 0.0) for each in took), default=0.0)
        how = "" if not exact else f"{'yes' if min(exact) == 1 else 'discrete'}, error {error:.1e}"
        best = [min(cell["middles"], key=cell["middles"].__getitem__) for cell in same if cell["middles"]]
        rate = mean(each["samples"] / max(each["seconds"], 1e-9) for each in took)
        minutes = mean(each["seconds"] for each in took) / 60
        yield (
            f"| {name} | {len(took)} | {mean(each['samples'] for each in took):.0f} | {minutes:.1f} | {rate:.0f} | "
            f"{max(each['peak_mib'] for each in took):.0f} | {how} | {', '.join(sorted(set(best)))} |"
        )


def curves_of(results: dict[str, Any], given: str, x: str) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """name -> points, means over the seeds."""
    unit = 1000 if x.endswith("_s") else 1
    found: dict[str, list[tuple[float, float]]] = {}
    rows = {name: list(picked(cell, given)) for name, cell in results["cells"].items()}
    for label, _, same in grouped(rows):
        point = (unit * mean(row[x] for row in same), mean(row["scores"]["sliced"]["value"] for row in same))
        found.setdefault(label, []).append(point)
    yield from found.items()


def floors(results: dict[str, Any], given: str) -> dict[str, float]:
    rows = [row for cell in results["cells"].values() for row in picked(cell, given)]
    lines = {"noise floor": rows[0]["scores"]["sliced"]["floor"]} if rows else {}
    return lines | ({"training clips": results["training_clips"]["sliced"]["value"]} if given == "none" else {})
