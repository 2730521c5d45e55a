"""The Python of docs/finetuning.md, run as it stands but for the number of steps."""

import re
from pathlib import Path

import av
import torch

from vidcm.finetuning.run import finetune

from .conftest import panning

PAGE = Path(__file__).parents[2] / "docs" / "finetuning.md"


def write_video(path: Path, seed: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 112, 80, "yuv420p"
        for picture in panning(seed, 12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def test_the_lines_on_the_page_lead_from_a_folder_of_clips_to_a_tuned_pipeline(config, tmp_path, monkeypatch, capsys):
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 10
    (tmp_path / "footage").mkdir()
    for seed in range(3):
        write_video(tmp_path / "footage" / f"{seed}.mp4", seed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vidcm.finetuning.run.finetune", lambda *places, steps: finetune(*places, config))
    names: dict = {}
    exec(code, names)
    assert capsys.readouterr().out.endswith("report.md\n")
    first, last = (torch.from_numpy(panning(5)[i]).permute(2, 0, 1)[None] / 255 for i in (0, 2))
    assert names["pipe"](first, last, [0.5]).frames.isfinite().all()
