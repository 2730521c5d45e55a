"""Hardware encoders: tried before they are trusted, and software where none works. No chip is needed here."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.interpolation.journal import GO_ON
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media import hardware
from vidcm.media.choice import choose
from vidcm.media.deep import depth_of
from vidcm.media.encoders import CONTAINERS, ENCODERS, QUALITIES, Encoder
from vidcm.media.reader import open_reader

CHIP = Encoder("mpeg4", ("9", "6", "4", "2"), {"flags": "+qscale"}, "global_quality", formats=("yuv420p",))


@pytest.fixture
def info(make_clip):
    with open_reader(make_clip(count=1)) as reader:
        known = replace(reader.info, width=640, height=360)
    return lambda pix_fmt="yuv420p": replace(known, pix_fmt=pix_fmt, bit_depth=depth_of(pix_fmt))


@pytest.fixture
def works(monkeypatch):
    """works("hevc_nvenc", ...): those that do, by a probe that is none."""

    def only(*names: str) -> None:
        monkeypatch.setattr(hardware, "why_not", lambda encoder, *_: None if encoder.name in names else "no chip")

    return only


@pytest.mark.parametrize(
    ("there", "name", "pix_fmt", "taken"),
    [
        (["h264_nvenc", "h264_qsv"], "a.mp4", "yuv420p", ("h264_nvenc", "yuv420p")),
        (["h264_qsv"], "a.mp4", "yuv420p", ("h264_qsv", "nv12")),
        (["h264_amf"], "a.mp4", "nv12", ("h264_amf", "nv12")),
        (["hevc_nvenc", "h264_nvenc"], "a.mp4", "yuv420p10le", ("hevc_nvenc", "p010le")),
        (["hevc_videotoolbox"], "a.mov", "yuv420p10le", ("hevc_videotoolbox", "p010le")),
        (["av1_nvenc"], "a.webm", "yuv420p10le", ("av1_nvenc", "p010le")),
    ],
)
def test_the_first_one_that_works_is_taken(there, name, pix_fmt, taken, works, info):
    works(*there)
    choice = choose(Path(name), info(pix_fmt), encoder="auto")
    assert ((choice.encoder.name, choice.pix_fmt), choice.notes, choice.remark) == (taken, (), None)


@pytest.mark.parametrize(
    ("there", "name", "pix_fmt", "codec", "why"),
    [
        ([], "a.mp4", "yuv420p", None, "none works here for these pictures, libx264 takes its place"),
        (["hevc_nvenc"], "a.mp4", "yuv420p12le", None, "none works here for these pictures, libx265 takes"),
        (["hevc_nvenc"], "a.mp4", "yuv422p10le", None, "none works here"),  # it would lose chroma, libx265 does not
        (["hevc_nvenc"], "a.mov", "yuv420p", "prores", "there is none for prores, prores_ks takes its place"),
    ],
)
def test_software_takes_its_place_and_says_so(there, name, pix_fmt, codec, why, works, info):
    works(*there)
    plain, choice = (choose(Path(name), info(pix_fmt), codec, encoder=each) for each in ("software", "auto"))
    assert replace(choice, remark=None) == plain
    assert why in choice.remark


def test_software_is_what_nobody_asked_for(works, info):
    works(*hardware.NAMES)
    assert choose(Path("a.mp4"), info()).encoder is ENCODERS["h264"]


def test_one_that_was_named_has_to_work(works, info):
    works("hevc_qsv")
    assert choose(Path("a.mp4"), info(), encoder="hevc_qsv").codec == "hevc"
    with pytest.raises(UserError, match=r"does not work here at 640x360 \(no chip\): give --encoder auto or software"):
        choose(Path("a.mp4"), info(), encoder="hevc_nvenc")
    with pytest.raises(UserError, match="hevc holds 10 bits here, the input has 12"):
        choose(Path("a.mp4"), info("yuv420p12le"), encoder="hevc_qsv")
    with pytest.raises(UserError, match="webm files do not hold hevc"):
        choose(Path("a.webm"), info(), encoder="hevc_qsv")


@pytest.mark.parametrize("codec", hardware.HARDWARE)
def test_the_table_holds_together(codec):
    for encoder in hardware.HARDWARE[codec]:
        assert encoder.name.startswith(codec)
        levels = [int(encoder.options_for("yuv420p", quality)[encoder.knob]) for quality in QUALITIES]
        rises = "videotoolbox" in encoder.name  # where more is better
        assert levels == sorted(levels, reverse=not rises)
        assert any(codec in container.codecs for container in CONTAINERS.values())


def test_an_encoder_is_tried_and_not_looked_up():
    assert hardware.tried("mpeg4", "yuv420p", 64, 48) is None
    assert hardware.tried("mpeg4", "yuv444p", 64, 48)
    assert hardware.tried("h264_dreamt", "yuv420p", 64, 48) == "UnknownCodecError"
    assert set(hardware.at_work()) == set(hardware.NAMES)


def test_pictures_go_into_the_memory_that_an_encoder_asks_for(make_clip, tmp_path, monkeypatch):
    """MPEG-4 plays the chip again; of a device in whose memory it takes nothing PyAV says so."""
    assert hardware.tried("mpeg4", "yuv420p", 64, 48, (), "vaapi") == "NotImplementedError"
    asked = []
    for user in ("encoding", "writer", "chip_memory"):
        monkeypatch.setattr(f"vidcm.media.{user}.device_of", lambda memory, user=user: asked.append((user, memory)))
    monkeypatch.setitem(hardware.HARDWARE, "h264", (replace(CHIP, memory="vaapi"),))
    monkeypatch.setattr(hardware, "NAMES", ("mpeg4",))
    half = lambda first, last, taus, **_: ((first + last) / 2)[:, None].expand(-1, len(taus), -1, -1)  # noqa: E731
    how = {"rule": Factor(Fraction(2)), "interpolator": half, "encoder": "mpeg4"}
    assert interpolate_file(make_clip(count=4), tmp_path / "out.mp4", **how).frames_out == 8
    assert set(asked) == {("encoding", "vaapi"), ("writer", "vaapi"), ("chip_memory", "vaapi")}


def test_a_chip_encodes_whole_files_and_an_interrupted_run_stays_with_it(make_clip, tmp_path, monkeypatch):
    """MPEG-4 plays the chip."""
    monkeypatch.setitem(hardware.HARDWARE, "h264", (CHIP,))
    monkeypatch.setattr(hardware, "NAMES", ("mpeg4",))
    source, target = make_clip(count=4), tmp_path / "out.mp4"
    how = {"rule": Factor(Fraction(2)), "encoder": "auto", "settings": lambda: {"IN": "1"}}
    half = lambda first, last, taus, **_: ((first + last) / 2)[:, None].expand(-1, len(taus), -1, -1)  # noqa: E731
    report = interpolate_file(source, target, interpolator=half, **how)
    assert (report.frames_out, report.dropped) == (8, [])
    with open_reader(target) as reader:
        assert reader.info.codec == "mpeg4"
    target.unlink()

    monkeypatch.setattr("vidcm.interpolation.stream.length_for", lambda info: 2)

    def fails(first, last, taus, *, position=0, **_):
        if position == 2:
            raise UserError("stop")
        return half(first, last, taus)

    with pytest.raises(UserError, match="stop"):
        interpolate_file(source, target, interpolator=fails, **how)
    with pytest.raises(UserError, match="encoder was mpeg4, now libx264"):
        interpolate_file(source, target, interpolator=half, resume=GO_ON, **{**how, "encoder": "software"})
    report = interpolate_file(source, target, interpolator=half, resume=GO_ON, **how)
    assert report.frames_kept > 0
    assert "mpeg4 is hardware: the same pictures need not be the same bytes" in report.problems


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--encoder", "nvenc"], "unknown encoder 'nvenc' (known: auto, software, h264_nvenc"),
        (["--encoder", "h264_nvenc", "--codec", "hevc"], "encoder h264_nvenc makes h264, not hevc"),
    ],
)
def test_the_command_line_knows_the_names(asked, told, make_clip, tmp_path):
    given = ["interpolate", str(make_clip()), "-o", str(tmp_path / "o.mp4"), "--factor", "2"]
    run = CliRunner().invoke(cli, [*given, *asked])
    assert run.exit_code == 2
    assert told in run.stderr
    assert len(run.stderr.splitlines()) == 1
