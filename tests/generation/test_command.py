"""`vidcm generate` on tiny checkpoints."""

import json
import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.families.conftest import TINY
from tests.families.tiny_video import write
from vidcm.cli import made
from vidcm.cli.made import Teller
from vidcm.cli.main import cli
from vidcm.families import get
from vidcm.generation.jobs import Job
from vidcm.generation.makers import FROM_ONE, Made, load_maker
from vidcm.generation.sheet import CAPTION, GAP, HEIGHT
from vidcm.media.reader import open_reader
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.pipelines import FrameInterpolationPipeline

CLIP = ["--num-frames", "5", "--steps", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write("wan 2.1 t2v", tmp_path_factory.mktemp("models") / "wan")


@pytest.fixture(scope="module")
def animating(tmp_path_factory) -> Path:
    return write("wan 2.2 i2v", tmp_path_factory.mktemp("models") / "i2v")


def vidcm(*words):
    return CliRunner().invoke(cli, ["generate", *map(str, words)], prog_name="vidcm")


def picture(path: Path, rows: int, columns: int, shade: int = 128) -> Path:
    ramp = np.linspace(0, shade, columns, dtype=np.uint8)
    cv2.imwrite(str(path), np.tile(ramp[None, :, None], (rows, 1, 3)))
    return path


def frames(path: Path) -> np.ndarray:
    with open_reader(path) as reader:
        return np.stack([frame.rgb for frame in reader])


def test_a_prompt_becomes_a_clip(model, tmp_path):
    out = tmp_path / "out.mp4"
    done = vidcm("-o", out, "--model", model, "--prompt", "a ball", "--size", "48x32", *CLIP)
    assert done.exit_code == 0, done.output
    assert frames(out).shape == (5, 32, 48, 3)
    assert "5 frames of 48x32 at 16 fps, in 1 step," in done.stdout
    assert "not tuned for few steps" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_prompt_that_is_too_long_is_said_to_be_cut(model, tmp_path):
    prompt = "sand " * 600
    done = vidcm("-o", tmp_path / "out.mp4", "--model", model, "--prompt", prompt, "--size", "48x32", *CLIP)
    assert done.exit_code == 0, done.output
    assert "is cut to its first 512 tokens" in done.stderr
    assert "Warning" not in done.stderr


def test_an_image_of_another_aspect_is_cropped_and_that_is_said(animating, tmp_path):
    image = picture(tmp_path / "in.png", 64, 64)
    done = vidcm("-o", tmp_path / "out.mkv", "--model", animating, "--image", image, "--size", "48x32", *CLIP)
    assert done.exit_code == 0, done.output
    assert "in.png: 64x64 cropped to the clip's 48x32" in done.stderr
    assert FROM_ONE not in done.stderr


def test_between_two_images_without_a_model(tmp_path):
    """Both images are frames of the clip, bit for bit before encoding."""
    first, last = picture(tmp_path / "a.png", 64, 96), picture(tmp_path / "b.png", 64, 96, 200)
    out = tmp_path / "out.mkv"
    done = vidcm("-o", out, "--image", first, "--last-image", last, "--num-frames", 4, "--steps", 0 + 1)
    assert done.exit_code == 0, done.output
    made = frames(out)
    assert made.shape == (4, 64, 96, 3)
    for frame, path in ((made[0], first), (made[-1], last)):
        assert np.abs(frame.astype(int) - cv2.imread(str(path)).astype(int)).mean() < 2


def test_nothing_to_go_by_for_a_model_of_text(model, tmp_path):
    done = vidcm("-o", tmp_path / "out.mp4", "--model", model)
    assert done.exit_code == 2
    assert "give a prompt or an image" in done.stderr


@pytest.fixture
def clip_model(tmp_path_factory, monkeypatch) -> Path:
    """A tiny one in the shipped one's place."""
    made = get("clip").create({"vae": {"latent_channels": 8, "widths": [8, 16, 16]}, "dit": TINY["dit"]})
    made.consistency = ConsistencyScheduler()
    place = tmp_path_factory.mktemp("models") / "clip"
    made.save(place)
    monkeypatch.setattr("vidcm.generation.makers.shipped", lambda name: place)
    return place


def test_one_image_without_a_model_is_animated_and_kept(clip_model, tmp_path):
    out, image = tmp_path / "out.mkv", picture(tmp_path / "a.png", 64, 64)
    done = vidcm("-o", out, "--image", image)
    assert done.exit_code == 0, done.output
    assert "13 frames of 64x64 at 24 fps, in 2 steps" in done.stdout
    assert done.stderr == f"{FROM_ONE}\n"
    assert np.abs(frames(out)[0].astype(int) - cv2.imread(str(image)).astype(int)).mean() < 2


def test_nothing_without_a_model_is_a_test_bed(clip_model, tmp_path):
    done = vidcm("-o", tmp_path / "out.mkv", "--num-frames", "5", "--size", "32x32")
    assert done.exit_code == 0, done.output
    assert "a test bed for the model" in done.stderr
    assert FROM_ONE not in done.stderr
    assert frames(tmp_path / "out.mkv").shape == (5, 32, 32, 3)


def test_the_motion_model_goes_on_from_one_image(tmp_path):
    out, image = tmp_path / "out.mkv", picture(tmp_path / "a.png", 64, 96)
    done = vidcm("-o", out, "--model", "motion", "--image", image, "--num-frames", "3")
    assert done.exit_code == 0, done.output
    assert frames(out).shape == (3, 64, 96, 3)
    refused = vidcm("-o", out, "--model", "motion", "--image", image, "--num-frames", "9")
    assert refused.exit_code == 2
    assert "sees 8 frames ahead of one image" in refused.stderr


@pytest.mark.parametrize("count", [1, 2])
def test_what_the_motion_model_makes_is_what_its_pipeline_makes(count, tmp_path):
    random = np.random.default_rng(0)
    shades = random.integers(0, 256, (2, 16, 24, 3), np.uint8)
    images = [cv2.resize(each, (96, 64), interpolation=cv2.INTER_CUBIC) for each in shades[:count]]
    given = dict(zip(("image", "last_image"), (str(tmp_path / f"{k}.png") for k in range(count)), strict=False))
    for path, image in zip(given.values(), images, strict=True):
        cv2.imwrite(path, image[..., ::-1])
    job = Job(**given, num_frames=2 + count, seed=3, temperature=1.5)
    made = load_maker(Path("motion"), torch.device("cpu"))(job).frames_THWC
    ends = [torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 for image in images]
    taus, how = [[1 / 8, 2 / 8], [1 / 3, 2 / 3]][count - 1], {"seed": 3, "temperature": 1.5, "output_type": "np"}
    wanted = FrameInterpolationPipeline.from_pretrained()(ends[0], *(ends[1:] or [None]), taus, **how).frames[0]
    assert np.array_equal(made[1:3], wanted)
    assert np.array_equal(made[[0, -1][:count]], np.float32(images) / 255)


def test_a_batch_takes_the_model_that_fits_each_job(clip_model, tmp_path):
    for name in ("a.png", "b.png"):
        picture(tmp_path / name, 64, 64)
    maker = load_maker(None, torch.device("cpu"))
    maker.makers["motion"] = lambda job: Made(np.zeros((3, 8, 8, 3), np.float32), Fraction(24), {})
    one, two = (
        Job(image=str(tmp_path / "a.png")),
        Job(image=str(tmp_path / "a.png"), last_image=str(tmp_path / "b.png")),
    )
    assert [maker(job).settings["model"] for job in (one, two, one)] == ["clip", "motion", "clip"]
    assert set(maker.makers) == {"clip", "motion"}


def test_what_the_model_cannot_make_is_told_in_one_line_and_leaves_nothing(model, tmp_path):
    other = shutil.copytree(model, tmp_path / "models" / "other")
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxPipeline"}))
    (tmp_path / "out").mkdir()
    wrong = {
        " must be 1 + a multiple of 4 for this VAE, got 7 (try 5 or 9)": (2, model, "--num-frames", "7"),
        "multiples of 16 for this model, got 50x32 (try 48x32)": (2, model, "--size", "50x32"),
        "attention xformers cannot serve on cpu": (1, model, "--attention", "xformers"),
        "--guidance-2 is for a model of two networks": (2, model, "--guidance-2", "3"),
        "other holds a FluxPipeline, which no family here generates with": (1, other, "--seed", "1"),
    }
    for told, (code, folder, *words) in wrong.items():
        done = vidcm(
            "-o", tmp_path / "out" / "a.mp4", "--model", folder, "--prompt", "x", "--size", "48x32", *CLIP, *words
        )
        assert done.exit_code == code
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_takes_have_seeds_of_their_own_and_a_row_each_in_the_sheet(model, tmp_path):
    words = ["--model", model, "--prompt", "a ball", "--size", "48x32", *CLIP, "--seed", "3"]
    done = vidcm("-o", tmp_path / "out.mkv", "--takes", "2", "--contact-sheet", tmp_path / "sheet.png", *words)
    assert done.exit_code == 0, done.output
    assert len(done.stderr.splitlines()) == len(set(done.stderr.splitlines())) == 1  # a note on both takes, once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-3.mkv", "out-4.mkv", "sheet.png"]
    assert vidcm("-o", tmp_path / "alone.mkv", *words[:-1], "4").exit_code == 0
    first, second, alone = (frames(tmp_path / f"{name}.mkv") for name in ("out-3", "out-4", "alone"))
    assert np.array_equal(second, alone)
    assert not np.array_equal(first, second)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    width = round(48 * HEIGHT / 32)
    assert sheet.shape == (2 * (HEIGHT + CAPTION + GAP), GAP + 5 * (width + GAP), 3)
    shown = sheet[CAPTION : CAPTION + HEIGHT, GAP : GAP + width]
    wanted = cv2.resize(first[0], (width, HEIGHT), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(shown, wanted)


def test_the_sheet_of_a_manifest_has_finished_new_and_failed_jobs(model, tmp_path):
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "a ball"}\n{"prompt": "sand", "num_frames": 6}\n')
    words = ["--batch", jobs, "-o", tmp_path / "out", "--model", model, "--size", "48x32", *CLIP]
    assert vidcm(*words).exit_code == 2
    with jobs.open("a") as file:
        file.write('{"prompt": "grey", "num_frames": 1}\n')
    assert vidcm(*words, "--contact-sheet", tmp_path / "sheet.png").exit_code == 2
    sheet = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1].astype(int)
    row = HEIGHT + CAPTION + GAP
    assert sheet.shape[0] == 3 * row
    is_red = (sheet[..., 0] - sheet[..., 2] > 60).reshape(3, row, -1)
    assert is_red[1, :CAPTION].any()  # its name
    assert is_red[1, CAPTION:].any()  # and the reason
    assert not is_red[[0, 2], :CAPTION].any()


def test_a_manifest_is_made_once_and_failures_are_listed(model, tmp_path):
    jobs = tmp_path / "jobs.jsonl"
    wanted = [{"prompt": "a ball", "name": "ball"}, {"prompt": "sand", "num_frames": 6}, {"prompt": "sand", "seed": 2}]
    jobs.write_text("".join(json.dumps(job) + "\n" for job in wanted))
    words = ["--batch", jobs, "-o", tmp_path / "out", "--model", model, "--size", "48x32", *CLIP]
    done = vidcm(*words)
    assert done.exit_code == 2, done.output
    assert "the largest clip, 5 frames of 48x32 in 1 step, takes about" in done.stderr
    assert "2 clips of 3 jobs" in done.stdout
    assert "failed: line 2, sand-" in done.stderr
    assert "(try 5 or 9)" in done.stderr
    assert frames(tmp_path / "out" / "ball.mp4").shape == (5, 32, 48, 3)
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [clip["status"] for clip in told["clips"]] == ["done", "failed", "done"]
    asked = {"size": "48x32", "num_frames": 5, "steps": 1, "seed": 0, "fit": "crop"}
    assert [clip["job"] for clip in told["clips"]] == [{**asked, **job} for job in wanted]
    assert all(clip["seconds"] > 0 for clip in told["clips"])
    jobs.write_text("".join(json.dumps(job) + "\n" for job in wanted[:1] + wanted[2:]))
    again = vidcm(*words, "--json")
    assert again.exit_code == 0, again.output
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert [event.get("status") for event in events] == ["kept", "kept", None]


def test_failures_and_what_was_there_before_say_nothing_of_the_pace(capsys, monkeypatch):
    clock = iter([0.0, 10.0])  # looked at when it begins, and when a clip has been made
    monkeypatch.setattr(made, "time", SimpleNamespace(monotonic=lambda: next(clock, 12.0)))
    tell = Teller(as_json=False)
    for number, status in enumerate(("failed", "kept", "done", "failed"), 1):
        record = SimpleNamespace(key="a", status=status, seconds=9.5, error="why", remark=None, notes=[])
        tell(record, None, number, 4)
    told = capsys.readouterr().err.splitlines()
    assert told == ["[1/4] a: why", "[2/4] a: was finished before", "[3/4] a: 9.5 s, 0:10 left", "[4/4] a: why"]


WRONG = {
    "text without a model": (["--prompt", "x"], 2, "read no text"),
    "a last image for the motion model": (["--model", "motion", "--last-image", "a.png"], 2, "wants a first image"),
    "guidance without a model": (["--image", "a.png", "--guidance", "3"], 2, "has no guidance"),
    "a size that is none": (["--prompt", "x", "--size", "big"], 2, "WxH in pixels"),
    "no such model": (["--prompt", "x", "--model", "nowhere"], 2, "nowhere does not exist"),
    "a URL": (["--image", "https://example.org/a.png", "--last-image", "b.png"], 2, "is a URL"),
    "no such image": (["--image", "a.png", "--last-image", "b.png"], 2, "--image a.png is not there"),
    "an image for all": (["--batch", "jobs.jsonl", "--image", "a.png"], 2, "is for one clip"),
    "a sheet that is no PNG": (["--prompt", "x", "--contact-sheet", "a.jpg"], 2, "ends in .png"),
    "a sheet nowhere": (["--prompt", "x", "--contact-sheet", "no/a.png"], 2, "the folder of no/a.png does not exist"),
    "takes of a manifest": (["--batch", "jobs.jsonl", "--takes", "2"], 2, "is for one clip"),
    "no manifest": (["--batch", "jobs.jsonl"], 2, "cannot read the manifest jobs.jsonl"),
}


@pytest.mark.parametrize(("words", "code", "told"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_one_line(tmp_path, monkeypatch, words, code, told):
    monkeypatch.chdir(tmp_path)
    done = vidcm("-o", "out.mp4", *words)
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_for_the_shipped_model_names_the_line(tmp_path):
    (tmp_path / "jobs.jsonl").write_text('{"image": "a.png", "last_image": "b.png"}\n{"prompt": "x"}\n')
    done = vidcm("-o", tmp_path / "out", "--batch", tmp_path / "jobs.jsonl")
    assert done.exit_code == 1
    assert "line 2: the shipped models read no text" in done.stderr
    assert not (tmp_path / "out").exists()
