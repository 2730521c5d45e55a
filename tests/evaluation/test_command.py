"""`vidcm evaluate interpolation` from the command line to the JSON file."""

import json
import subprocess
import sys

import cv2
import pytest
from click.testing import CliRunner

from tests.evaluation.conftest import panning
from vidcm.cli.evaluate import command
from vidcm.cli.main import cli

SMALL = ["--size", "96x64"]


def run(*words):
    return CliRunner().invoke(cli, ["evaluate", "interpolation", *map(str, words)])


def test_clips_in_a_table_and_the_json_of_the_design_out(folder, tmp_path):
    file, picture = tmp_path / "result.json", tmp_path / "look.png"
    done = run(folder, "--split", "val", *SMALL, "--methods", "hold,crossfade,dis", "--json", file, "--figure", picture)
    assert done.exit_code == 0, done.output
    result = json.loads(file.read_text())
    keys = ["protocol", "methods", "ladder", "ladder_large_motion", "gap_closure", "clips", "confidence"]
    assert list(result) == keys
    assert list(result["methods"]) == ["hold", "crossfade", "dis"]
    columns = ["psnr", "mpsnr", "ssim", "gmsd", "sharpness", "flicker", "brightness", "cpu_s_per_frame"]
    assert list(result["methods"]["dis"]) == columns
    assert [clip["file"] for clip in result["clips"]] == ["a.mp4", "b.mp4"]
    protocol = result["protocol"]
    assert (protocol["size"], protocol["factor"], protocol["split"], protocol["pairs"]) == ("96x64", 2, "val", 8)
    means = [sum(clip["methods"]["dis"][name] for clip in result["clips"]) / 2 for name in columns]
    assert [result["methods"]["dis"][name] for name in columns] == pytest.approx(means)
    assert f"{result['methods']['dis']['psnr']:.2f}" in done.stdout
    assert cv2.imread(str(picture)).shape[1] > 4 * 96  # truth and three methods side by side


def test_the_same_run_gives_the_same_scores(folder, tmp_path):
    results = []
    for name in ("1.json", "2.json"):
        assert run(folder, *SMALL, "--methods", "dis", "--max-pairs", 2, "--json", tmp_path / name).exit_code == 0
        scores = json.loads((tmp_path / name).read_text())["methods"]["dis"]
        results.append({key: value for key, value in scores.items() if key != "cpu_s_per_frame"})
    assert results[0] == results[1]


def test_a_clip_smaller_than_the_size_is_named_as_scaled_up(folder, clip, tmp_path):
    large, file = clip("large.mp4", panning(5, height=128, width=192)), tmp_path / "out.json"
    words = (folder / "a.mp4", large, "--size", "112x64", "--methods", "hold", "--json", file)
    done = run(*words)
    assert "SCALED UP from a smaller size: a.mp4 (96x64)\n" in done.stdout
    assert json.loads(file.read_text())["protocol"]["smaller"] == {"a.mp4": "96x64"}
    assert len(json.loads(file.read_text())["clips"]) == 2
    done = run(*words, "--native")
    assert "smaller, left out: a.mp4 (96x64)\n" in done.stdout
    assert [each["file"] for each in json.loads(file.read_text())["clips"]] == ["large.mp4"]
    assert "scaled" not in run(large, "--size", "192x128", "--methods", "hold").stdout.lower()
    done = run(folder, "--size", "192x128", "--native", "--methods", "hold")
    assert done.exit_code == 1
    assert "none of the 3 clips is as large as 192x128, the largest is 96x64: give larger footage" in done.stderr


def test_the_result_names_the_device_that_auto_chose(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("vidcm.evaluation.run.present_device", {"auto": "mps"}.get)
    file = tmp_path / "out.json"
    assert run(folder, *SMALL, "--methods", "hold", "--max-pairs", 1, "--json", file).exit_code == 0
    assert json.loads(file.read_text())["protocol"]["device"] == "mps"


def test_the_command_line_overrides_the_config_file(folder, tmp_path):
    config = tmp_path / "eval.yaml"
    config.write_text("size: 96x64\nfactor: 4\nmethods: [hold, crossfade]\nmax_pairs: 1\n")
    file = tmp_path / "out.json"
    assert run(folder / "a.mp4", "--config", config, "--factor", 2, "--json", file).exit_code == 0
    protocol = json.loads(file.read_text())["protocol"]
    assert (protocol["factor"], protocol["max_pairs"], protocol["methods"]) == (2, 1, ["hold", "crossfade"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.mp4"], 2, "does not exist"),
        (["--methods", "magic"], 2, "unknown method 'magic' (known: hold, crossfade, dis, minterpolate, vidcm)"),
        (["--size", "big"], 2, "size must be WIDTHxHEIGHT such as 448x256, got 'big'"),
        (["--size", "16x16"], 2, "at least 32x32"),
        (["--factor", "1"], 2, "--factor"),
        (["--temperature", "nan"], 2, "must be a number of at least 0, got nan"),
        (["--device", "tpu"], 2, "'tpu' is not one of 'auto', 'cpu', 'cuda', 'mps'"),
        (["--split", "test"], 1, "splits there: train, val"),
        (["--factor", "9"], 1, "too short for factor 9, it needs at least 10 frames"),
        (["--json", "no/such/folder/out.json"], 2, "does not exist"),
        (["--figure", "look.nopicture"], 2, "use a name that ends in .png"),
    ],
)
def test_wrong_use_is_told_in_one_line(folder, words, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(folder, "--max-pairs", 1, "--methods", "hold", *words)
    assert done.exit_code == code
    *progress, refusal = done.stderr.splitlines()
    assert said in refusal
    assert all(line.endswith(".mp4") for line in progress)


def test_an_unknown_key_of_a_config_names_the_known_ones(folder, tmp_path):
    config = tmp_path / "eval.yaml"
    config.write_text("factr: 4\n")
    done = run(folder, "--config", config)
    assert done.exit_code == 2
    assert "unknown key factr (did you mean factor?)" in done.stderr


def test_a_text_file_named_mp4_is_refused(tmp_path):
    (tmp_path / "fake.mp4").write_text("not a video")
    done = run(tmp_path / "fake.mp4", "--methods", "hold")
    assert done.exit_code == 1
    assert "fake.mp4" in done.stderr


def test_pairs_across_a_cut_are_left_out_and_counted(clip, tmp_path):
    dark, bright = [frame // 4 for frame in panning(6)], [255 - frame // 4 for frame in panning(6, seed=2)]
    file = tmp_path / "out.json"
    assert run(clip("cut.mp4", dark[:5] + bright), *SMALL, "--methods", "hold", "--json", file).exit_code == 0
    (entry,) = json.loads(file.read_text())["clips"]
    assert (entry["pairs"], entry["cut_pairs"]) == (4, 1)


def test_the_defaults_shown_are_those_of_the_config():
    shown = " ".join(CliRunner().invoke(command, ["interpolation", "--help"]).stdout.split())
    assert "[default: 448x256]" in shown
    assert "[default: hold,crossfade,dis,vidcm]" in shown


def test_help_needs_no_torch():
    code = "import sys, vidcm.cli.evaluate; sys.exit(bool({'torch', 'av', 'cv2', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_model_directory_is_a_method_and_climbs_the_ladder(folder, tmp_path):
    """An untrained model: its scores mean little, but each row is there, and seeds change what they have to."""
    from tests.families.conftest import tiny_family

    tiny_family().save(tmp_path / "model")
    results = []
    for seed in (0, 1):
        file = tmp_path / f"{seed}.json"
        words = ["--model", tmp_path / "model", "--seed", seed, "--methods", "hold,vidcm", "--max-pairs", 1]
        rungs = ["--ladder", "--ladder-seeds", 2, "--teacher-steps", 3, "--temperature", 1]
        done = run(folder, "--split", "val", *SMALL, *words, *rungs, "--json", file)
        assert done.exit_code == 0, done.output
        assert "gap closure: psnr" in done.stdout
        results.append(json.loads(file.read_text()))
    one, other = (result["ladder"] for result in results)
    assert list(one) == ["draft", "believed", "random", "ect1", "ect2", "teacher3", "shuffled", "posterior"]
    same = {row for row in one if one[row] == other[row]}
    assert same == {"draft", "believed", "ect1", "shuffled", "posterior"}
    assert set(results[0]["gap_closure"]) == {"psnr", "energy"}
    assert results[0]["methods"]["vidcm"]["psnr"] != results[1]["methods"]["vidcm"]["psnr"]
