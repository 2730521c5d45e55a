"""`vidcm prepare` as a user meets it, and training on what it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from vidcm.cli.main import cli

MODEL = {
    "vae": {"latent_channels": 6, "condition_channels": 16, "local_channels": 8, "widths": [4, 8, 8, 16]},
    "dit": {"dim": 32, "depth": 1, "heads": 2},
}


def write_video(path: Path, seed: int, count: int = 12) -> None:
    """Coloured patches that drift by two pixels a frame, 25 fps."""
    cells = np.random.default_rng(seed).integers(30, 225, (10, 22, 3), np.uint8)
    ground = cells.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 112, 80, "yuv420p"
        for index in range(count):
            picture = np.ascontiguousarray(ground[:, 2 * index : 2 * index + 112])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    folder.mkdir()
    for seed in range(3):
        write_video(folder / f"{seed}.mp4", seed)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def vidcm(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)))


def test_the_summary_counts_and_names(footage, tmp_path):
    result = vidcm("prepare", footage, "-o", tmp_path / "set", "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert "4 files, 4 looked at now" in result.stdout
    assert "train 2 scenes, 24 frames" in result.stdout
    assert "val   1 scenes, 12 frames" in result.stdout
    assert f"not readable: {footage / 'broken.mp4'}: cannot be read as video" in result.stdout
    assert (tmp_path / "set" / "contact.png").is_file()


def test_scripts_get_events(footage, tmp_path):
    result = vidcm("prepare", footage / "0.mp4", "-o", tmp_path / "set", "--json")
    done = json.loads(result.stdout.splitlines()[-1])
    assert (done["event"], done["new"], done["cuts"], done["unreadable"]) == ("done", 1, 0, {})
    assert done["splits"]["train"] == {"files": 1, "scenes": 1, "frames": 12}


def test_without_a_second_video_it_says_that_there_is_nothing_to_validate_on(footage, tmp_path):
    result = vidcm("prepare", footage / "0.mp4", "-o", tmp_path / "set")
    assert "nothing to validate on" in result.stdout


def test_a_prepared_dataset_trains(footage, tmp_path):
    assert vidcm("prepare", footage, "-o", tmp_path / "set").exit_code == 0
    data = {"cache": str(tmp_path / "set"), "workers": 0, "batch_size": 2, "crop": [64, 64]}
    run = {"device": "cpu", "steps": 2, "log_every": 1, "model": MODEL, "out": str(tmp_path / "run"), "data": data}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    result = vidcm("train", tmp_path / "run.yaml")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(np.isfinite(line["loss"]) for line in lines)


def test_what_an_encoder_cannot_do_is_told_without_torch(footage, tmp_path):
    words = ["prepare", str(footage), "-o", str(tmp_path / "set"), "--latents", "motion"]
    code = f"import sys; from vidcm.cli.main import main; sys.argv[1:] = {words}\n"
    code += "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"], done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.mp4", "-o", "set"], 2, "'none.mp4' does not exist"),
        (["footage"], 2, "Missing option '-o'"),
        (["footage", "-o", "set", "--min-frames", "2"], 2, "2 is not in the range x>=3"),
        (["footage", "-o", "set", "--short-side", "5"], 2, "--short-side must be at least 64 pixels, got 5"),
        (["footage/broken.mp4", "-o", "set"], 1, "no scene of 9 moving frames or more in 1 file"),
        (["empty", "-o", "set"], 1, "no videos in empty"),
        (["footage", "-o", "footage/0.mp4"], 2, "is a file: name a folder"),
        (["footage", "-o", "set", "--latents", "none"], 2, "model directory none does not exist"),
        (["footage", "-o", "set", "--latents", "motion"], 2, "is no generator that is known here: its VAE is a Motion"),
        (["footage", "-o", "set", "--latents", "clip", "--num-frames", "6"], 2, "for this VAE, got 6 (try 5 or 9)"),
        (["footage", "-o", "set", "--latents", "clip", "--num-frames", "1"], 2, "at least 5 to be judged, got 1"),
        (["footage", "-o", "set", "--latents", "clip", "--size", "100x64"], 2, "got 100x64 (try 96x64)"),
    ],
)
def test_a_mistake_is_told_in_one_line(footage, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = vidcm("prepare", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "set").exists()


def test_nothing_but_what_it_made_is_removed_when_it_fails(footage, tmp_path):
    (tmp_path / "there").mkdir()
    for place in (tmp_path / "there", tmp_path / "there" / "new" / "set"):
        assert vidcm("prepare", footage / "broken.mp4", "-o", place).exit_code == 1
        assert list((tmp_path / "there").iterdir()) == []
    assert vidcm("prepare", footage / "0.mp4", "-o", tmp_path / "set").exit_code == 0
    frames = sorted((tmp_path / "set" / "frames").iterdir())
    assert vidcm("prepare", footage / "broken.mp4", "-o", tmp_path / "set", "--min-frames", "5").exit_code == 2
    assert sorted((tmp_path / "set" / "frames").iterdir()) == frames


def test_footage_that_is_cut_short_is_named(footage, tmp_path):
    write_video(footage / "cut.mkv", 7, 60)
    data = (footage / "cut.mkv").read_bytes()
    (footage / "cut.mkv").write_bytes(data[: len(data) // 2])
    result = vidcm("prepare", footage / "cut.mkv", "-o", tmp_path / "set")
    assert result.exit_code == 0, result.stderr
    said = f"damaged: {footage / 'cut.mkv'}: is cut short: {len(data) // 2:,} of {len(data):,} bytes are there"
    assert said in result.stdout
