import cv2
import numpy as np
import pytest

from vidcm.core.errors import UserError, WrongUse
from vidcm.generation.pictures import fit, read_image


def halves(rows: int, columns: int) -> np.ndarray:
    """Red on the left, blue on the right, a green stripe along the top."""
    image = np.zeros((rows, columns, 3), np.uint8)
    image[:, : columns // 2, 0] = 255
    image[:, columns // 2 :, 2] = 255
    image[: rows // 8] = (0, 255, 0)
    return image


def test_colours_come_as_red_green_blue(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), cv2.cvtColor(halves(16, 16), cv2.COLOR_RGB2BGR))
    assert np.array_equal(read_image(path), halves(16, 16))


def test_cropping_keeps_the_middle():
    fitted = fit(halves(32, 96), 32, 32, "crop")
    assert np.array_equal(fitted.pixels, halves(32, 96)[:, 32:64])
    assert fitted.note == "96x32 cropped to the clip's 32x32"


def test_padding_keeps_everything_and_adds_black():
    fitted = fit(halves(32, 32), 32, 64, "pad")
    assert np.array_equal(fitted.pixels[:, 16:48], halves(32, 32))
    assert not fitted.pixels[:, :16].any()
    assert not fitted.pixels[:, 48:].any()
    assert "padded" in fitted.note


@pytest.mark.parametrize("how", ["crop", "pad"])
def test_the_same_aspect_is_scaled_and_nothing_said(how):
    fitted = fit(halves(64, 96), 32, 48, how)
    assert fitted.pixels.shape == (32, 48, 3)
    assert fitted.note is None
    assert np.array_equal(fitted.pixels[20, [3, 44]], [[255, 0, 0], [0, 0, 255]])


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("size", [(33, 47), (480, 832), (17, 400), (401, 19)])
def test_every_size_is_met(how, size):
    assert fit(halves(37, 53), *size, how).pixels.shape == (*size, 3)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tiff"])
@pytest.mark.parametrize("part", [0.1, 0.6])
def test_of_an_image_that_is_cut_short_nobody_else_speaks(ending, part, tmp_path, capfd):
    path = tmp_path / f"a{ending}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(UserError, match="is not an image that can be read"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_what_is_no_image_is_told(tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png"):
        read_image(path)


def test_an_image_is_read_where_there_is_no_standard_error(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 6, 3), 7, np.uint8))
    monkeypatch.setattr("sys.stderr", None)
    assert (read_image(tmp_path / "a.png") == 7).all()


def test_an_image_that_may_not_be_read_is_wrong_use(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vidcm.generation.pictures.np.fromfile", refused)
    with pytest.raises(WrongUse, match=r"a\.png cannot be read: check its permissions"):
        read_image(tmp_path / "a.png")
