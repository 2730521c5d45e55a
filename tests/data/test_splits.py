import hashlib

import pytest

from vidcm.core.errors import UserError
from vidcm.data.splits import Entry, assign_split, list_videos


def write_manifest(folder, *rows, header="file,source,split"):
    (folder / "manifest.csv").write_text("\n".join([header, *rows]))


def test_the_manifest_decides(tmp_path):
    write_manifest(tmp_path, "1.mp4,x,train", "sub/2.mp4,y,val", "3.mp4,x,train", "4.mp4,,")
    assert list_videos(tmp_path) == [
        Entry("1.mp4", "x", "train"),
        Entry("sub/2.mp4", "y", "val"),
        Entry("3.mp4", "x", "train"),
        Entry("4.mp4", None, None),
    ]


def test_one_source_in_two_splits_is_refused(tmp_path):
    write_manifest(tmp_path, "1.mp4,x,train", "2.mp4,x,val")
    with pytest.raises(UserError, match=r"1\.mp4 is in train and 2\.mp4 in val, but both come from x"):
        list_videos(tmp_path)


def test_repository_and_path_together_name_a_source(tmp_path):
    header = "file,source_repo,source_path,split"
    write_manifest(tmp_path, "1.mp4,r,p,train", "2.mp4,r,q,val", header=header)
    assert [entry.source for entry in list_videos(tmp_path)] == ["r:p", "r:q"]
    write_manifest(tmp_path, "1.mp4,r,p,train", "2.mp4,r,p,val", header=header)
    with pytest.raises(UserError, match="both come from r:p"):
        list_videos(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1.mp4,x,test"], "split of 1.mp4 is 'test', expected one of train, val"),
        (["1.mp4,x,train", "1.mp4,x,train"], "lists 1.mp4 twice"),
        ([], "no videos"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path, rows, message):
    write_manifest(tmp_path, *rows)
    with pytest.raises(UserError, match=message):
        list_videos(tmp_path)


def test_a_manifest_without_files_column_is_refused(tmp_path):
    write_manifest(tmp_path, "1.mp4", header="name")
    with pytest.raises(UserError, match="no column `file`"):
        list_videos(tmp_path)


def test_without_a_manifest_every_video_below_the_folder_is_listed_in_order(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.MP4", "sub/a.mkv", "notes.txt"):
        (tmp_path / name).touch()
    assert list_videos(tmp_path) == [Entry("b.MP4"), Entry("sub/a.mkv")]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"footage folder not found: .*nowhere"):
        list_videos(tmp_path / "nowhere")


def test_the_share_of_validation_is_kept_and_growing_it_only_adds():
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4000)]
    tenth = {d for d in digests if assign_split(d, 0.1) == "val"}
    assert 0.08 < len(tenth) / len(digests) < 0.12  # four standard deviations of a binomial are 0.02
    assert tenth < {d for d in digests if assign_split(d, 0.2) == "val"}


def test_a_caption_comes_from_the_manifest_or_from_the_text_beside(tmp_path):
    (tmp_path / "1.txt").write_text("a ball\n  rolls\n", encoding="utf-8")
    (tmp_path / "2.txt").write_text("never read", encoding="utf-8")
    write_manifest(tmp_path, "1.mp4,", "2.mp4,a hand draws", "3.mp4,", header="file,caption")
    assert [entry.caption for entry in list_videos(tmp_path)] == ["a ball rolls", "a hand draws", ""]
    (tmp_path / "3.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"3\.txt lies beside 3\.mp4 as its caption and is not UTF-8"):
        list_videos(tmp_path)
    (tmp_path / "3.txt").write_text("a" * 5000)
    with pytest.raises(UserError, match=r"has 5000 characters, at most 4000"):
        list_videos(tmp_path)
