"""Seeking lands on the very frame, whatever the container's index or the group of pictures does."""

from fractions import Fraction

import numpy as np
import pytest

from vidcm.media.reader import open_reader

X264 = {"preset": "veryfast", "bf": "3", "b-adapt": "0", "crf": "12"}
HARD = {
    "open groups of pictures": ("open.mkv", {"options": {**X264, "x264-params": "open-gop=1"}, "gop": 9}),
    "transport stream": ("packets.ts", {"options": X264, "gop": 9}),
    "open groups in a transport stream": ("open.ts", {"options": {**X264, "x264-params": "open-gop=1"}, "gop": 9}),
    "no key frame but the first": ("intra.mp4", {"options": {**X264, "x264-params": "intra-refresh=1"}, "gop": 10}),
    "mpeg-2": ("mpeg2.ts", {"codec": "mpeg2video", "options": {"bf": "2", "qscale": "4"}, "gop": 9}),
    "vp9 with hidden frames": ("alt.webm", {"codec": "libvpx-vp9", "options": {"crf": "20", "b": "0"}, "gop": 12}),
    "variable rate": (
        "vfr.mp4",
        {"instants": [Fraction(n * n + 7 * n, 600) for n in range(30)], "time_base": Fraction(1, 600), "options": X264},
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_every_seek_equals_sequential_decoding(make_clip, name):
    file, fields = HARD[name]
    path = make_clip(file, **{"count": 30, **fields})
    with open_reader(path) as reader:
        wanted = [(frame.instant, frame.index, frame.rgb) for frame in reader]
    assert len(wanted) == 30
    order = np.random.default_rng(1).permutation(len(wanted))[:12]
    with open_reader(path) as reader:
        for at in order:
            instant, index, rgb = wanted[at]
            found = reader.seek(instant + Fraction(1, 10_000))
            assert (found.instant, found.index) == (instant, index)
            np.testing.assert_array_equal(found.rgb, rgb)
            following = next(iter(reader), None)
            assert following is None if index == 29 else following.index == index + 1


class Misled:
    """A container whose index is wrong: `astray` changes what it is asked for."""

    def __init__(self, container, astray):
        self._container, self._astray = container, astray

    def seek(self, at, **kwargs):
        at, kwargs = self._astray(at, kwargs)
        self._container.seek(at, **kwargs)

    def __getattr__(self, name):
        return getattr(self._container, name)


ASTRAY = {
    "a second past the target": lambda at, kwargs: (at + 12800, kwargs),
    "at frames that are no key frames": lambda at, kwargs: (at, {**kwargs, "any_frame": True}),
}


@pytest.mark.parametrize("where", ASTRAY)
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_container_that_seeks_wrongly_is_seen_through(make_clip, monkeypatch, codec, where):
    """It lands where nothing can be decoded rightly, or too late: the reader goes back further, or to the start."""
    options = {"preset": "veryfast"} if codec == "libx264" else {"qscale": "3"}
    with open_reader(
        make_clip(count=100, gop=12, codec=codec, options=options, time_base=Fraction(1, 12800))
    ) as reader:
        wanted = [(frame.instant, frame.rgb) for frame in reader]
        for index in (95, 60, 30, 3):
            monkeypatch.setattr(reader, "_container", Misled(reader._container, ASTRAY[where]))
            np.testing.assert_array_equal(reader.seek(wanted[index][0]).rgb, wanted[index][1])
