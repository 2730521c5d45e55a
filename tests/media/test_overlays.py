"""What counts as an overlay: what stays where it is while most around it moves."""

import cv2
import numpy as np
import pytest

from vidcm.media.overlays import OverlayFinder

SIZE, PLACE = (160, 240), (slice(60, 90), slice(80, 160))


def ground(shift: float, seed: int = 0) -> np.ndarray:
    """float32 luma: blobs, `shift` pixels to the left."""
    wide = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(SIZE[0], 480)).astype(np.float32), (0, 0), 2.5)
    wide = 128 + 20 * wide / wide.std()
    return cv2.warpAffine(wide, np.float32([[1, 0, -shift], [0, 1, 0]]), SIZE[::-1], flags=cv2.INTER_CUBIC)


def titled(luma: np.ndarray, opacity: float = 1.0, text: str = "TITLE") -> np.ndarray:
    mask = cv2.putText(np.zeros(SIZE, np.uint8), text, (80, 85), cv2.FONT_HERSHEY_DUPLEX, 0.9, 255, 2, cv2.LINE_AA)
    return (luma + opacity * mask / 255 * (250 - luma)).clip(0, 255)


def sureness(pictures) -> np.ndarray:
    """After the last of them."""
    finder = OverlayFinder()
    for picture in pictures:
        known = finder.add(picture.round().clip(0, 255).astype(np.uint8))
    return known.sureness


@pytest.mark.parametrize(("opacity", "least"), [(1.0, 0.06), (0.5, 0.03)])
def test_what_stays_before_moving_ground_is_found_and_the_ground_is_not(opacity, least):
    sure = sureness(titled(ground(3 * index), opacity) for index in range(10)) > 0.5
    assert sure[PLACE].mean() > least
    beside = sure.copy()
    beside[PLACE] = False
    assert beside.mean() < 0.002


def test_nothing_stands_out_where_nothing_moves_or_everything_does():
    noise = np.random.default_rng(1)
    assert sureness(titled(ground(0)) + noise.normal(0, 1, SIZE) for _ in range(10)).max() == 0
    assert (sureness(ground(3 * index) for index in range(10)) > 0.5).mean() < 0.002


def test_ground_at_rest_beside_something_that_moves_is_none():
    def picture(index: int) -> np.ndarray:
        shown = ground(0)
        shown[40:120, 100:140] = ground(4 * index, seed=1)[40:120, 100:140]
        return shown

    assert (sureness(picture(index) for index in range(12)) > 0.5).mean() < 0.004


def test_what_sways_is_none():
    """A person in a pan: in the middle of the picture, by a pixel or two in every frame."""
    swaying = (
        cv2.warpAffine(titled(ground(0)), np.float32([[1, 0, 2 * np.sin(1.7 * index)], [0, 1, 0]]), SIZE[::-1])
        for index in range(12)
    )
    pictures = (
        np.where(np.pad(np.ones((30, 80), bool), ((60, 70), (80, 80))), each, ground(3 * index))
        for index, each in enumerate(swaying)
    )
    assert (sureness(pictures) > 0.5)[PLACE].mean() < 0.02


def test_a_text_in_the_place_of_another_begins_anew():
    finder = OverlayFinder()
    for index in range(16):
        text = "TITLE" if index < 10 else "OTHER"
        known = finder.add(titled(ground(3 * index), text=text).round().astype(np.uint8))
        if index == 10:
            assert not known.is_there[PLACE].all()  # seen at once
    assert known.age[PLACE].min() <= 6 < known.age[PLACE].max()


@pytest.mark.parametrize(("with_colour", "least", "most"), [(True, 0.7, 1.0), (False, 0.0, 0.4)])
def test_a_thin_line_as_bright_as_the_ground_is_found_by_its_colour(with_colour, least, most):
    """Two pixels wide, across the motion; its colour is coded at half the size, as in most files."""
    line = np.zeros(SIZE, np.uint8)
    for x in (60, 120, 180):
        cv2.line(line, (x, 40), (x, 120), 255, 2)
    red = cv2.resize(line, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) / 255
    finder, noise = OverlayFinder(), np.random.default_rng(1)
    for index in range(12):
        luma = ground(3 * index) + line / np.float32(255) * (128 - ground(3 * index))
        chroma = [128 + by * red + noise.normal(0, 1, red.shape) for by in (-35, 80)] if with_colour else []
        known = finder.add(*(plane.round().clip(0, 255).astype(np.uint8) for plane in (luma, *chroma)))
    sure = known.sureness > 0.5
    assert least <= sure[line > 0].mean() <= most
    assert sure[cv2.dilate(line, np.ones((9, 9))) == 0].mean() < 0.002


def test_most_votes_for_letters_have_change_on_both_sides_and_those_for_wide_ground_do_not():
    def share(picture) -> float:
        finder = OverlayFinder()
        for index in range(12):
            known = finder.add(picture(index).round().clip(0, 255).astype(np.uint8))
        sure = known.sureness > 0.5
        assert sure.sum() > 50
        return float(known.between[sure].sum() / known.votes[sure].sum())

    def wide(index: int) -> np.ndarray:
        shown = ground(3 * index)
        shown[60:90, 80:110] = ground(0, seed=1)[60:90, 80:110]
        return shown

    assert share(lambda index: titled(ground(3 * index))) > 0.3
    assert share(wide) < 0.1


def test_detail_at_rest_that_something_passes_in_front_of_is_gone_and_what_moves_is_not():
    finder = OverlayFinder()
    for index in range(12):
        shown = 2 * ground(0) - 128
        shown[:60] = ground(3 * index, seed=1)[:60]
        shown[80:120, 60 : 60 + 40 * (index >= 10)] = 250
        shown = shown.clip(0, 255)
        known = finder.add(shown.round().astype(np.uint8))
    assert (known.gone[82:118, 62:98] == 1).mean() > 0.3
    assert known.gone[:56].min() == np.inf
    assert known.gone[90:110, 110:].min() == np.inf


def test_beyond_the_edge_of_the_picture_anything_may_change():
    """Else black bars beside a picture would have change on one side alone."""
    finder = OverlayFinder()
    for index in range(12):
        shown = ground(3 * index)
        shown[:, :6] = 16
        known = finder.add(shown.round().clip(0, 255).astype(np.uint8))
    bar = known.sureness[:, :7] > 0.5
    assert known.between[:, :7][bar].sum() > 0.3 * known.votes[:, :7][bar].sum() > 30
