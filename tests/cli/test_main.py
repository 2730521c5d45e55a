"""The command line root: quick help, exit codes, one line for a failure."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

import vidcm.cli
from vidcm import __version__
from vidcm.cli import main
from vidcm.core.errors import UserError

HEAVY = {"torch", "numpy", "cv2", "av", "decord", "diffusers", "accelerate", "xformers", "einops"}
IMPORTED_BY = """
import sys
from vidcm.cli.main import cli
try:
    cli(sys.argv[1:], prog_name="vidcm")
finally:
    print("imported:", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def invoke_with(monkeypatch: pytest.MonkeyPatch, failure: BaseException, *arguments: str) -> Result:
    """Run the root with a command that raises `failure` in the place of every command."""

    @click.command()
    def command() -> None:
        raise failure

    monkeypatch.setattr(main, "import_module", lambda name: SimpleNamespace(command=command))
    return CliRunner().invoke(main.cli, arguments or ["train"])


ANSWERED_AT_ONCE = [["--help"], ["--version"], ["nonsense"], ["--nonsense"], ["models", "--help"]]
ANSWERED_AT_ONCE += [[name, *rest] for name in main.COMMANDS for rest in (["--help"], ["--nonsense"])]


@pytest.mark.parametrize("arguments", ANSWERED_AT_ONCE, ids=" ".join)
def test_help_and_wrong_use_import_nothing_heavy(arguments: list[str]) -> None:
    run = subprocess.run([sys.executable, "-c", IMPORTED_BY, *arguments], capture_output=True, text=True)
    imported = set(run.stderr.rpartition("imported:")[2].split())
    assert "click" in imported
    assert not imported & HEAVY
    assert run.returncode == (2 if "nonsense" in arguments[-1] else 0)


def test_every_command_has_a_file_and_what_holds_a_command_is_listed() -> None:
    """The other files are shared by several commands, or parts of a long one."""
    folder = Path(vidcm.cli.__file__).parent
    holding = {file.stem for file in folder.glob("*.py") if "\ndef command(" in file.read_text("utf-8")}
    assert set(main.COMMANDS) == holding


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_is_explained(name: str) -> None:
    run = CliRunner().invoke(main.cli, [name, "--help"])
    assert run.exit_code == 0
    assert len(run.output.splitlines()) > 4
    assert f"{name}  " in CliRunner().invoke(main.cli, ["--help"]).output


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(main.cli, ["--version"]).output.strip() == f"vidcm, version {__version__}"


def test_an_unknown_command_is_wrong_use() -> None:
    run = CliRunner().invoke(main.cli, ["interpolat"])
    assert run.exit_code == 2
    assert "interpolat" in run.stderr
    assert not run.stdout


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["evaluate", "nonsense"], ["train"]], ids=" ".join)
def test_wrong_use_is_one_line_that_leads_to_the_help(arguments: list[str]) -> None:
    run = CliRunner().invoke(main.cli, arguments, prog_name="vidcm")
    assert run.exit_code == 2
    assert len(run.stderr.splitlines()) == 1
    assert re.match(r"Error: .*; see 'vidcm( evaluate| train)? --help'$", run.stderr)


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["interpolate", "--stpes", "3"], " Did you mean '--steps'?"),
        (["interpolate", "--device-name", "cpu"], " Did you mean '--device'?"),
        (["evaluate", "interpolaton"], " Did you mean 'interpolation'?"),
        (["interpolate", "--bogus"], "; see"),
        (["interpolate", "--cats"], " Did you mean '--cuts'?"),
    ],
    ids=str,
)
def test_only_a_name_that_is_really_close_is_suggested(arguments: list[str], suggestion: str) -> None:
    run = CliRunner().invoke(main.cli, arguments)
    assert run.exit_code == 2
    assert suggestion in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_a_group_without_a_command_shows_its_help() -> None:
    assert "interpolation" in CliRunner().invoke(main.cli, ["evaluate"]).output


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("factor must be at least 2, got 1"), "factor must be at least 2, got 1"),
        (
            FileNotFoundError(2, "No such", "a.mp4"),
            "a.mp4: No such: check the path and its permissions, or take another place",
        ),
    ],
)
def test_a_failure_is_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    run = invoke_with(monkeypatch, error)
    assert run.exit_code == 1
    assert run.stderr == f"Error: {told}\n"
    assert not run.stdout


def test_an_error_of_many_lines_is_told_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke_with(monkeypatch, UserError("one\n  two")).stderr == "Error: one two\n"


def test_verbose_lets_the_traceback_through(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(invoke_with(monkeypatch, UserError("no"), "--verbose", "train").exception, UserError)
    monkeypatch.setenv("VIDCM_DEBUG", "1")
    assert isinstance(invoke_with(monkeypatch, UserError("no"), "train").exception, UserError)


def test_a_mistake_of_ours_is_one_line_and_not_dressed_up_as_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    run = invoke_with(monkeypatch, RuntimeError("no\n  kernel"))
    assert run.exit_code == 1
    assert run.stderr == "vidcm: unexpected RuntimeError: no kernel; run with -v for the traceback\n"
    assert not run.stdout
    assert isinstance(invoke_with(monkeypatch, KeyError("x0"), "--verbose", "train").exception, KeyError)


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@pytest.mark.parametrize("error", [OutOfMemoryError("tried to allocate 9 GiB"), MemoryError()], ids=["gpu", "cpu"])
def test_out_of_memory_comes_with_a_way_out(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    run = invoke_with(monkeypatch, error)
    assert run.exit_code == 1
    assert "smaller file" in run.stderr
    assert "--device" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("error", [click.UsageError("wrong use"), click.exceptions.Exit(2)], ids=["usage", "exit"])
def test_clicks_own_exits_keep_their_code(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    run = invoke_with(monkeypatch, error)
    assert run.exit_code == 2
    assert "unexpected" not in run.stderr


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), click.Abort()], ids=["ctrl-c", "prompt left"])
def test_an_interrupt_has_its_own_exit_code(monkeypatch: pytest.MonkeyPatch, stop: BaseException) -> None:
    run = invoke_with(monkeypatch, stop)
    assert run.exit_code == 130
    assert run.stderr == "Interrupted.\n"


ENDLESS = """
from types import SimpleNamespace
import click
from vidcm.cli import main

@click.command()
def command():
    while True:
        click.echo("a line")

main.import_module = lambda name: SimpleNamespace(command=command)
main.cli(["train"])
"""


def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait(timeout=60) == 1


LEFT = """
import atexit, sys
from vidcm.__main__ import process
class Kept:
    def __del__(self, write=sys.stderr.write): write("taken apart;")
kept = Kept()
import threading, time
threading.Thread(target=lambda: (time.sleep(0.2), print("thread", file=sys.stderr, end=";"))).start()
import click, vidcm.cli.main as m
@m.cli.command("late")
def late():
    atexit.register(lambda: print("atexit", file=sys.stderr, end=";"))
    click.echo("all " * 5000)
m.LazyGroup.get_command = lambda self, ctx, name: late
process()
"""


def test_the_process_ends_when_all_is_said_and_is_not_taken_apart() -> None:
    """What takes torch seconds. Threads, exit functions and a long last line in a pipe are waited for."""
    run = subprocess.run([sys.executable, "-c", LEFT, "late"], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "all " * 5000 + "\n", "thread;atexit;")
    wrong = subprocess.run([sys.executable, "-c", LEFT, "late", "--bogus"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "taken apart" not in wrong.stderr


def test_a_program_that_runs_the_command_line_ends_as_it_likes() -> None:
    code = "import atexit, sys; atexit.register(print, 'atexit'); sys.argv[1:] = ['models']\n"
    code += "from vidcm.cli.main import main\n"
    code += "try:\n    main()\nexcept SystemExit as end:\n    print('caught', end.code)\nsys.exit(7)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.splitlines()[-2:]) == (7, ["caught 0", "atexit"]), run.stderr


EARLY = """
import signal, sys
from vidcm.__main__ import process
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
signal.signal(signal.SIGINT, signal.default_int_handler)
process()
"""


def test_ctrl_c_before_anything_is_there_is_one_line() -> None:
    run = subprocess.run([sys.executable, "-c", EARLY, "models"], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("name", ["vidcm", "vidcm.cli.main"])
def test_it_runs_as_a_module_by_its_former_name_too(name: str) -> None:
    run = subprocess.run([sys.executable, "-m", name, "objectives"], capture_output=True, text=True)
    assert run.returncode == 0
    assert "ect" in run.stdout
    assert run.stderr == ""


def test_a_slip_in_a_command_s_name_is_told() -> None:
    run = CliRunner().invoke(main.cli, ["interpolat", "a.mp4"], prog_name="vidcm")
    assert (run.exit_code, run.stderr) == (2, "Error: No such command 'interpolat'. Did you mean 'interpolate'?\n")
    assert (
        CliRunner().invoke(main.cli, ["bogus"], prog_name="vidcm").stderr
        == "Error: No such command 'bogus'; see 'vidcm --help'\n"
    )


def test_what_a_system_refuses_is_told_with_the_file_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ways_out = {
        OSError(30, "Read-only file system", "there/ds"): "check the path and its permissions, or take another place",
        OSError(28, "No space left on device", "there/ds"): "make room, or take another place",
    }
    for error, way_out in ways_out.items():
        run = invoke_with(monkeypatch, error)
        assert (run.exit_code, run.stderr) == (1, f"Error: there/ds: {error.strerror}: {way_out}\n")
