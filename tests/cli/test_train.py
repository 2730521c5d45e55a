"""`vidcm train`: what can be said against a run is said in one line, at once, with exit code 2."""

import pytest
from click.testing import CliRunner

from vidcm.cli.main import cli

WRONG = {
    "unknown objective": (["stage=etc"], "unknown stage 'etc'; known: vae, decoder, cd, ct, diffusion, ect"),
    "no teacher": (["stage=cd"], "stage cd distils a teacher: init= must name a model trained with stage=diffusion"),
    "no condition": (["stage=cd", "init=m", "objective.guidance=[3, 3]"], "guidance [3.0, 3.0] needs a family with"),
    "scale not told": (["family=clip", "stage=lcm", "init=m", "objective.guidance=[1, 5]"], "cannot be told a scale"),
    "upside down": (["family=clip", "stage=lcm", "init=m", "objective.guidance=[5, 1]"], "must be [lowest, highest]"),
    "q": (["stage=ect", "objective.q=1"], "q must be larger than 1, or stages would not tighten r, got 1.0"),
    "key": (["stage=ect", "objective.qq=2"], "unknown key objective.qq (did you mean q?)"),
    "nothing to resume": (["--resume"], "nothing to resume in "),
    "stages": (
        ["stage=ect", "steps=10", "samples_per_stage=40"],
        "stage 8 would begin at sample 320, after the run's 40: last_stage must be at most 0, or samples_per_stage at "
        "most 4",
    ),
}


@pytest.mark.parametrize(("words", "told"), WRONG.values(), ids=WRONG)
def test_wrong_objectives_are_wrong_use(tmp_path, words, told):
    (tmp_path / "run.yaml").write_text("device: cpu\ndata: {batch_size: 4}\nlatents: {batch_size: 64}\n")
    done = CliRunner().invoke(cli, ["train", str(tmp_path / "run.yaml"), *words, f"out={tmp_path / 'out'}"])
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
