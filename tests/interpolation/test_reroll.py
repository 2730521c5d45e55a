"""One gap of a finished output made again, the rest as it was."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vidcm.core.errors import UserError, WrongUse
from vidcm.interpolation import segments
from vidcm.interpolation.batch import Folder
from vidcm.interpolation.differing import Difference, difference, overall
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.reroll import reroll
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.interpolation.tree import videos_below
from vidcm.media.reader import open_reader
from vidcm.media.shots import CutDetector
from vidcm.work.batch import CHANGED, make_all

DOUBLE = Factor(Fraction(2))
RULES = {
    "x2": DOUBLE,
    "x5/2": Factor(Fraction(5, 2)),
    "x4": Factor(Fraction(4)),
    "to 60": Rate(Fraction(60)),
    "slow": SlowMotion(Fraction(3)),
}


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(segments, "FRAMES", 8)
    monkeypatch.setattr(segments, "LEAST_FRAMES", 8)


def fade(first, last, taus, **_):
    return torch.stack([torch.lerp(first, last, tau) for tau in taus], dim=1)


def white(first, last, taus, **_):
    return torch.ones(3, len(taus), *first.shape[1:])


def pictures(path: Path) -> list[tuple[Fraction, bytes]]:
    with open_reader(path) as reader:
        return [(frame.instant, frame.native.to_ndarray().tobytes()) for frame in reader]


def coded(path: Path, kind: str = "video") -> list[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, bytes(packet)) for packet in container.demux(container.streams.get({kind: 0})) if packet.size
        ]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_the_gap_is_made_again_and_all_else_stays(rule, name, make_video, tmp_path):
    source, target, before = make_video(count=20, tone_s=0.8), tmp_path / name, tmp_path / f"before-{name}"
    how = {"codec": "ffv1"} if name == "out.mkv" else {"quality": "best"}
    interpolate_file(source, target, rule=RULES[rule], interpolator=fade, **how)
    before.write_bytes(target.read_bytes())
    at = Fraction(9, 24) * RULES[rule].stretch + Fraction(1, 100)
    done = reroll(source, target, at, rule=RULES[rule], interpolator=white, **how)
    old, new = pictures(before), pictures(target)
    assert [instant for instant, _ in new] == [instant for instant, _ in old]
    changed = [index for index, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    inside = [
        index
        for index, (instant, _) in enumerate(old)
        if Fraction(9, 24) < instant / RULES[rule].stretch + Fraction(1, 2000) < Fraction(10, 24) - Fraction(1, 1000)
    ]
    inside = [
        index for index in inside if abs(old[index][0] / RULES[rule].stretch - Fraction(9, 24)) > Fraction(1, 1000)
    ]
    if name == "out.mkv":  # lossless
        assert changed == inside
    assert {index for index in inside if np.frombuffer(new[index][1], np.uint8)[: 64 * 48].min() > 225} == set(inside)
    assert (done.frames_made, len(inside)) == (len(inside),) * 2
    kept = set(coded(before)) & set(coded(target))
    assert len(kept) >= len(old) - done.frames_encoded
    assert done.frames_encoded < len(old) / 2
    assert coded(target, "audio") == coded(before, "audio")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["in.mp4", name, f"before-{name}"])


def test_a_difference_is_told_of_blocks_and_not_of_noise():
    random = np.random.default_rng(0)
    ground = np.full((64, 96, 3), 100, np.uint8)
    noisy = (ground + random.integers(-3, 4, ground.shape[:2])[..., None]).astype(np.uint8)
    moved = ground.copy()
    moved[16:24, 32:40] = 140  # a block of 96
    assert difference(ground, ground) == Difference(0, 0)
    assert difference(ground, noisy).largest < 1
    assert difference(ground, moved) == Difference(round(40 / 96, 3), 40)
    assert difference(ground, noisy).is_slight
    assert not difference(noisy, moved).is_slight
    assert overall([Difference(1, 5), Difference(2, 3)]) == Difference(1.5, 5)
    assert difference(ground[:5, :5], moved[:5, :5]) == Difference(0, 0)


def test_of_transparent_pictures_what_is_seen_over_black_or_white_differs():
    white, grey = (np.full((16, 8, 3), level, np.uint8) for level in (255, 100))
    whole, half, none = (np.full((16, 8), share, np.float32) for share in (1, 0.5, 0))
    assert difference(white, white, [whole, none]) == Difference(255, 255)  # seen over black alone
    assert difference(grey, grey, [whole, half]) == Difference(77.5, 77.5)  # 50 over black, (255 - 100) / 2 over white
    assert difference(white, grey, [none, none]) == Difference(0, 0)
    assert difference(white, grey, [whole, whole]) == difference(white, grey) == Difference(155, 155)


def test_a_take_that_differs_in_alpha_alone_is_told(tmp_path):
    def fading(share):
        def made(first, last, taus, **_):
            """Of the first one's colours, laid over grey."""
            laid = torch.cat([first[:3] * share + 0.5 * (1 - share), torch.full_like(first[3:], share)])
            return laid[:, None].expand(-1, len(taus), -1, -1)

        return made

    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgra"
        for _ in range(4):
            picture = np.full((48, 64, 4), (100, 100, 100, 255), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgba").reformat(format="bgra")))
        container.mux(stream.encode(None))
    interpolate_file(source, target, rule=DOUBLE, interpolator=fading(1.0), codec="ffv1")
    done = reroll(source, target, Fraction(3, 48), rule=DOUBLE, interpolator=fading(0.5), codec="ffv1")
    assert done.differs.mean == pytest.approx(77.5, abs=0.5)
    assert not done.differs.is_slight


@pytest.mark.parametrize(("name", "slack"), [("out.mkv", 0.6), ("out.mp4", 3)])
def test_how_much_a_take_differs_is_what_its_pictures_do(name, slack, make_video, tmp_path):
    def grey(first, last, taus, **_):
        return torch.full((3, len(taus), *first.shape[1:]), 50 / 255)

    def lighter(first, last, taus, **_):
        made = grey(first, last, taus)
        made[:, :, :24] = 80 / 255  # of 48 lines
        return made

    source, target = make_video(count=20), tmp_path / name
    how = {"codec": "ffv1"} if name == "out.mkv" else {"quality": "best"}
    interpolate_file(source, target, rule=RULES["x4"], interpolator=grey, **how)
    done = reroll(source, target, Fraction(9, 24), rule=RULES["x4"], interpolator=lighter, **how)
    assert done.frames_made == 3
    assert done.differs.mean == pytest.approx(15, abs=slack)
    assert done.differs.largest == pytest.approx(30, abs=2 * slack)


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_made_again_by_the_same_it_is_the_same(name, make_video, tmp_path):
    source, target = make_video(count=20, tone_s=0.8), tmp_path / name
    interpolate_file(source, target, rule=DOUBLE, interpolator=fade, codec="ffv1" if name == "out.mkv" else None)
    before, shown = coded(target), pictures(target)
    for at in (Fraction(0), Fraction(1, 3), Fraction(18, 24)):
        reroll(source, target, at, rule=DOUBLE, interpolator=fade, codec="ffv1" if name == "out.mkv" else None)
    if name == "out.mkv":
        assert pictures(target) == shown
        assert coded(target) == before
    else:
        assert [instant for instant, _ in pictures(target)] == [instant for instant, _ in shown]


def test_hevc_is_cut_where_segments_met(make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    interpolate_file(source, target, rule=DOUBLE, interpolator=fade, codec="hevc")
    old = coded(target)
    done = reroll(source, target, Fraction(9, 24), rule=DOUBLE, interpolator=white, codec="hevc")
    assert (done.frames_made, done.frames_encoded) == (1, 8)
    assert (done.encoded_from_s, done.encoded_to_s) == (pytest.approx(16 / 48), pytest.approx(24 / 48))
    assert len(set(old) & set(coded(target))) == 32
    assert len(pictures(target)) == 40


def test_a_folder_keeps_what_was_made_again(make_video, tmp_path):
    (folder := tmp_path / "in").mkdir()
    make_video(count=20).rename(folder / "a.mp4")
    videos = videos_below(folder, tmp_path / "out")

    def run() -> tuple[str, str | None]:
        make = lambda source, target: interpolate_file(source, target, rule=DOUBLE, interpolator=fade).as_dict()  # noqa: E731
        told = []
        make_all(
            Folder(tmp_path / "out", lambda: make, {}),
            videos,
            tell=lambda record, *_: told.append((record.status, record.remark)),
        )
        return told[0]

    assert [run(), run()] == [("done", None), ("kept", None)]
    target = tmp_path / "out" / "a.mp4"
    before = target.read_bytes()
    reroll(folder / "a.mp4", target, Fraction(1, 3), rule=DOUBLE, interpolator=white)
    taken = target.read_bytes()
    assert run() == ("kept", None)
    assert target.read_bytes() == taken != before
    target.write_bytes(before)  # changed by somebody else, and no reroll makes it ours
    reroll(folder / "a.mp4", target, Fraction(1, 3), rule=DOUBLE, interpolator=white)
    assert run() == ("kept", CHANGED)


PART, BESIDE = {"span": parse_range("0.25-")}, {"preview": Fraction(1, 2)}


@pytest.mark.parametrize(("at", "rule"), [(Fraction(1, 10), DOUBLE), (Fraction(9, 25), RULES["to 60"])])
@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"given": {"pictures": range(40, 60)}}, "another picture than .*in.mp4 there: make it whole"),
        ({"how": PART}, "another picture than .*in.mp4 there: make it whole"),
        ({"given": {"size": (48, 64)}}, "has 48x64 pixels, and made of .*in.mp4 64x48: make it whole"),
        ({"how": BESIDE}, "has 128x48 pixels, and made of .*in.mp4 64x48: make it whole"),
    ],
    ids=["another video", "a part", "another size", "a preview"],
)
def test_an_output_that_was_not_made_of_this_is_refused_and_stays(made, told, at, rule, make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    other = make_video("other.mp4", count=20, **made["given"]) if "given" in made else source
    interpolate_file(other, target, rule=rule, interpolator=fade, **made.get("how", {}))
    before = target.read_bytes()
    with pytest.raises(WrongUse, match=told):
        reroll(source, target, at, rule=rule, interpolator=white)
    assert target.read_bytes() == before


def test_what_cannot_be_made_again_is_refused_and_the_output_stays(make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    interpolate_file(source, target, rule=DOUBLE, interpolator=fade)
    before = target.read_bytes()
    how = {"rule": DOUBLE, "interpolator": white}
    refusals = [
        ("is not in the output, which ends at 0.833 s", Fraction(9), {}),
        ("nothing is made between the source frames around 0.820 s", Fraction(41, 50), {}),
        ("has no pictures where this command would make them", Fraction(1, 3), {"rule": Factor(Fraction(3))}),
        ("was encoded in another way than now asked for", Fraction(1, 3), {"codec": "hevc"}),
    ]
    for told, at, other in refusals:
        with pytest.raises(UserError, match=told):
            reroll(source, target, at, **{**how, **other})
    with pytest.raises(UserError, match="nothing is made"):
        cut = type("Cut", (CutDetector,), {"is_cut": lambda self, one, other: True})()
        reroll(source, target, Fraction(1, 3), detector=cut, at_cuts="hold", **how)
    assert target.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
