"""What holds for jobs of any kind; folders of videos and manifests of clips have tests of their own."""

import json

import pytest

from vidcm.core.errors import UserError
from vidcm.work.batch import CHANGED, as_json, make_all, needed, read

from .jobs import Notes


def test_a_job_is_known_as_begun_before_it_is_made(tmp_path):
    class Killed(Notes):
        def make(self, job, record):
            raise KeyboardInterrupt

    killed = Killed(tmp_path / "out", tmp_path / "trace")
    with pytest.raises(KeyboardInterrupt) as ended:
        make_all(killed, ["one"])
    assert ended.value.__notes__ == [
        f"{tmp_path / 'out'}: what is finished is kept; the same command goes on from there"
    ]
    assert read(killed, "one").status == "begun"
    killed.target("one").write_text("renamed into place, and nobody noted it")
    records = make_all(Notes(tmp_path / "out", tmp_path / "trace"), ["one"])
    assert records[0].status == "done"
    assert killed.target("one").read_text() == "one"


def test_a_record_that_cannot_be_read_still_says_that_the_file_is_ours(tmp_path):
    notes = Notes(tmp_path / "out", tmp_path / "trace")
    make_all(notes, ["one", "two"])
    notes.place("one").write_text("{")
    notes.place("two").unlink()
    assert [record.status for record in make_all(notes, ["one", "two"])] == ["done", "failed"]
    assert notes.seen("end") == ["one", "two", "one"]


def test_what_was_changed_is_kept_though_its_input_could_not_be_read_meanwhile(tmp_path):
    class Unreadable(Notes):
        def fingerprint(self, job):
            raise PermissionError(13, "Permission denied", job)

    places = tmp_path / "out", tmp_path / "trace"
    make_all(Notes(*places), ["one"])
    Notes(*places).target("one").write_text("graded")
    told = [make_all(kind(*places), ["one"])[0].error for kind in (Unreadable, Notes)]
    assert told == ["one cannot be read: Permission denied", f"{Notes(*places).target('one')} {CHANGED}"]
    assert Notes(*places).target("one").read_text() == "graded"


def test_a_full_disk_ends_the_run(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        make_all(Notes(tmp_path / "out", tmp_path / "trace"), ["full", "one"])


def test_a_disk_that_is_full_for_one_job_is_full_for_the_next(tmp_path):
    class Written(Notes):
        def make(self, job, record):
            try:
                super().make(job, record)
            except OSError as error:
                raise UserError(f"{job}: cannot be written: {error.strerror}") from error

    with pytest.raises(UserError, match="full: cannot be written: No space left") as ended:
        make_all(Written(tmp_path / "out", tmp_path / "trace"), ["full", "one"])
    assert ended.value.__notes__ == [
        f"{tmp_path / 'out'}: what is finished is kept; the same command goes on from there"
    ]


def test_what_is_needed_is_loaded_by_the_first_job_that_comes_to_need_it(tmp_path):
    class Needing(Notes):
        def load(self):
            self.needed = needed(super().load)

        def make(self, job, record):
            if not job.startswith("bad"):
                self.needed()
            super().make(job, record)

    notes = Needing(tmp_path / "out", tmp_path / "trace")
    make_all(notes, ["bad", "one", "two"])
    assert [line.split()[0] for line in notes.trace.read_text().splitlines()][:3] == ["begin", "load", "begin"]
    assert len(notes.seen("load")) == 1


@pytest.mark.parametrize("error", [UserError("no such model"), ZeroDivisionError("a bug")])
def test_what_cannot_be_loaded_ends_the_run_as_what_it_is(tmp_path, error):
    def load():
        raise error

    class Needing(Notes):
        def make(self, job, record):
            needed(load)()

    notes = Needing(tmp_path / "out", tmp_path / "trace")
    with pytest.raises(type(error), match=str(error)):
        make_all(notes, ["one", "two"])
    assert not notes.place("one").exists()
    assert not notes.place("two").exists()


def test_what_was_made_stays_known_where_nothing_can_be_loaded(tmp_path):
    """By a run with other settings: the next one with the first settings keeps it."""
    make_all(Notes(tmp_path / "out", tmp_path / "trace"), ["one"])
    known = Notes(tmp_path / "out", tmp_path / "trace").place("one").read_bytes()

    class Needing(Notes):
        def fingerprint(self, job):
            return "other settings"

        def make(self, job, record):
            def load():
                raise UserError("no such model")

            needed(load)()

    notes = Needing(tmp_path / "out", tmp_path / "trace")
    with pytest.raises(UserError, match="no such model"):
        make_all(notes, ["one"])
    assert notes.place("one").read_bytes() == known


def test_names_that_are_no_utf_8_can_be_told():
    assert json.loads(as_json({"name": "a\udcff é"})) == {"name": "a\udcff é"}
    assert "é" in as_json({"name": "é"}).decode()
