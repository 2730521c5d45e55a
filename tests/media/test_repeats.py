"""Repeated pictures are found in what moves, through noise and compression, and nowhere else."""

import io

import av
import numpy as np
import pytest

from vidcm.media.change import SAME, change, look
from vidcm.media.repeats import RepeatFinder

TEXTURE = np.kron(np.random.default_rng(7).uniform(30, 225, (24, 96)), np.ones((8, 8)))


def moving(pixels: float) -> np.ndarray:
    """uint8 RGB [144, 256, 3]: patches 8 pixels wide, moved to the left."""
    left = round(pixels)
    return np.repeat(TEXTURE[:144, left : left + 256, None], 3, axis=2).astype(np.uint8)


def shown(*places: float) -> list[np.ndarray]:
    return [moving(place) for place in places]


def repeats(pictures: list[np.ndarray]) -> list[int]:
    finder = RepeatFinder()
    for picture in pictures:
        finder.add(picture)
    return finder.finish()


def coded(pictures: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """Through H.264."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


CADENCES = {
    "twos": [3 * (index // 2) for index in range(16)],
    "threes": [6 * (index // 3) for index in range(18)],
    "24 in 30": [3 * (index * 4 // 5) for index in range(20)],
    "one lost": [3 * (7 if index == 8 else index) for index in range(16)],
}


@pytest.mark.parametrize("noise", [0, 4])
@pytest.mark.parametrize("crf", [18, 28])
@pytest.mark.parametrize("name", CADENCES)
def test_repeats_are_found_where_things_move(name, crf, noise):
    places, random = CADENCES[name], np.random.default_rng(0)
    pictures = [picture + random.normal(0, noise, picture.shape) for picture in shown(*places)]
    found = repeats(coded([picture.clip(0, 255).astype(np.uint8) for picture in pictures], crf))
    last = places.index(places[-1])  # what repeats the last picture leads nowhere
    expected = [index for index in range(3, last) if places[index] == places[index - 1]]  # a codec settles in at first
    assert [index for index in found if index > 2] == expected


@pytest.mark.parametrize(
    "places",
    [
        [0] * 12,  # a still
        [0, 3, 6, 9] + [12] * 6 + [15, 18, 21],  # a rest
        [0, 3, 6, 9, 12, 12, 12],  # the end
        [0, 3, 6, 8, 9, 10, 12, 15],  # motion that slows down
        [3 * index for index in range(12)],
    ],
)
def test_what_stands_still_or_never_halts_has_none(places):
    assert repeats(shown(*places)) == []


def test_the_first_picture_of_a_shot_may_be_repeated():
    assert repeats(shown(0, 0, 3, 3, 6, 6, 9)) == [1, 3, 5]


def drawn(number: int) -> np.ndarray:
    """uint8 RGB [144, 256, 3]: a flat disc with an outline, further right with each drawing."""
    y, x = np.mgrid[:144, :256]
    distance = np.hypot(x - 60 - 14 * number, y - 70)[..., None]
    return np.where(distance < 28, (200, 60, 40), np.where(distance < 30, 0, 235)).astype(np.uint8)


@pytest.mark.parametrize("crf", [12, 23])
def test_the_first_picture_is_known_again_though_a_key_frame_settles(crf):
    random = np.random.default_rng(0)
    shown = [drawn(index // 2) + random.normal(0, 3, (144, 256, 3)) for index in range(12)]
    pictures = coded([picture.clip(0, 255).astype(np.uint8) for picture in shown], crf)
    assert change(*map(look, pictures[:2])).max() > SAME  # or there would be nothing to know
    assert repeats(pictures) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(("held", "found"), [(3, [1, 2]), (4, [1, 2, 3])])
def test_so_it_is_on_threes_and_fours(held, found):
    pictures = [drawn(index // held) for index in range(4 * held)]
    pictures[0][110:140, 40:80] -= 4  # below the disc
    assert [index for index in repeats(pictures) if index < held] == found


@pytest.mark.parametrize("places", [[0, 1, 4, 7, 10, 13], [0, 1, 2, 3, 12, 21, 30]])
def test_a_shot_that_sets_off_slowly_begins_with_no_repeat(places):
    assert repeats(shown(*places)) == []


def test_noise_in_a_still_is_no_motion_that_halts():
    random = np.random.default_rng(0)
    still = [(moving(0) + random.normal(0, 6, (144, 256, 3))).clip(0, 255).astype(np.uint8) for _ in range(12)]
    assert repeats(still) == []


def test_motion_is_told_in_pixels_of_a_small_picture():
    finder = RepeatFinder()
    for picture in shown(0, 3, 3):
        finder.add(picture)
    before, moved, rested = finder.motion
    assert (before, moved, rested) == (0, pytest.approx(3 * 128 / 144, rel=0.15), pytest.approx(0, abs=0.05))
