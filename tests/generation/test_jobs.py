import json
from fractions import Fraction

import pytest

from vidcm.core.errors import UserError
from vidcm.generation.jobs import Job, digest, key_of, read_manifest


@pytest.fixture
def manifest(tmp_path):
    def write(*lines, name="jobs.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")
        return path

    return write


def test_a_line_overrides_what_the_command_says(manifest):
    path = manifest({"prompt": "a ball", "seed": 3, "fps": "24000/1001"}, "", {"prompt": "sand"})
    first, second = read_manifest(path, {"seed": 7, "size": "64x32"})
    assert (first.number, second.number) == (1, 3)
    assert first.job == Job(prompt="a ball", seed=3, size="64x32", fps=Fraction(24000, 1001))
    assert second.job.seed == 7
    assert first.job.pixels == (32, 64)


def test_keys_are_stable_and_told_apart_by_what_is_made(manifest, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"one")
    lines = [{"prompt": "A red, red ball!"}, {"prompt": "a red red ball", "seed": 1}, {"image": "a.png"}]
    before = [line.key for line in read_manifest(manifest(*lines), {})]
    assert before[0] == "a-red-red-ball-" + digest(Job(prompt="A red, red ball!"))[:10]
    again = [line.key for line in read_manifest(manifest(*reversed(lines), name="other.jsonl"), {})]
    assert again[::-1] == before
    assert len(set(before)) == 3
    picture.write_bytes(b"two")
    assert read_manifest(manifest(*lines), {})[2].key != before[2]
    assert key_of(Job(prompt="x", name="mine")) == "mine"


def test_the_same_job_twice_is_made_once(manifest):
    assert [line.number for line in read_manifest(manifest({"prompt": "a"}, {"prompt": "a"}), {})] == [1]


def test_images_are_found_beside_the_manifest_wherever_it_is_called_from(manifest, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    [line] = read_manifest(manifest({"image": "in/../first.png"}), {})
    assert line.job.image == str(tmp_path / "first.png")


WRONG = {
    "no JSON": (["{", "{}"], r"line 1: is not JSON"),
    "no object": ([[1, 2]], r"line 1: must be a JSON object"),
    "unknown field": ([{"promt": "x"}], r"line 1: unknown key promt \(did you mean prompt\?\)"),
    "wrong type": ([{"prompt": "x", "num_frames": "many"}], r"num_frames must be a whole number, got 'many'"),
    "second line": ([{"prompt": "x"}, {"prompt": "x", "seed": -1}], r"line 2: seed must be 0 to"),
    "URL": ([{"image": "https://example.org/a.png"}], r"is a URL: download it"),
    "data": ([{"image": "data:image/png;base64,AA"}], r"is a URL: download it"),
    "parent": ([{"image": "../a.png"}], r"leaves the manifest's folder"),
    "absolute": ([{"image": "/etc/passwd"}], r"leaves the manifest's folder"),
    "size": ([{"prompt": "x", "size": "832*480"}], r"WxH in pixels such as 832x480"),
    "fps": ([{"prompt": "x", "fps": 0}], r"fps must be above 0"),
    "fit": ([{"prompt": "x", "fit": "squeeze"}], r"fit must be one of crop, pad"),
    "guidance": ([{"prompt": "x", "guidance": float("nan")}], r"guidance must be at least 0, got nan"),
    "sampler": ([{"prompt": "x", "sampler": "ddim"}], r"sampler must be one of consistency, ode"),
    "name": ([{"prompt": "x", "name": "../x"}], r"cannot name a file"),
    "reserved name": ([{"prompt": "x", "name": "summary"}], r"not 'summary'"),
    "one name, two clips": ([{"prompt": "x", "name": "a"}, {"prompt": "y", "name": "A"}], r"line 2: .* line 1"),
    "empty": ([""], r"holds no job"),
}


@pytest.mark.parametrize(("lines", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_line_is_named(manifest, lines, told):
    with pytest.raises(UserError, match=told) as error:
        read_manifest(manifest(*lines), {})
    assert "\n" not in str(error.value)


def test_a_link_that_leads_out_of_the_folder_is_refused(manifest, tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (inside / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(UserError, match="leaves the manifest's folder"):
        read_manifest(manifest({"image": "a.png"}, name="in/jobs.jsonl"), {})
