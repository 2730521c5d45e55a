"""The `vidcm` command: names and summaries of the commands, exit codes. A command's file is imported when it runs.

Exit codes: 0 done, 1 failed, 2 wrong use (`WrongUse`) or part of a batch failed, 130 interrupted. Wrong use is one line
on stderr, and so is a failure, which says so where it is not one the user can act on (`UserError`, or an `OSError` such
as a full disk); with `--verbose`, or VIDCM_DEBUG=1 in the environment, the traceback too.
"""

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher, get_close_matches
from importlib import import_module
from typing import Any

import click

from vidcm import __version__
from vidcm.core.errors import UserError, WrongUse

# name -> what `vidcm --help` says of it. The file vidcm/cli/<name>.py holds it as `command`.
COMMANDS = {
    "interpolate": "Add frames to a video: a higher rate.",
    "generate": "Make clips from prompts and images.",
    "prepare": "Make a dataset of your footage, to train or tune on.",
    "finetune": "Tune the model on a dataset of your footage.",
    "train": "Train or tune a model, as a YAML file says.",
    "evaluate": "Score interpolation, or made clips, against true ones and baselines.",
    "models": "List the shipped models and the known families.",
    "objectives": "List the training objectives.",
    "doctor": "Show versions, devices and which backends work here.",
}


CLOSE = 0.7  # how alike two names must be before one is taken for a slip of the other; --bogus and --cuts are 0.44


class OneLine(click.ClickException):
    """A click.UsageError in one line, where click prints four."""

    exit_code = 2

    def __init__(self, error: click.UsageError) -> None:
        said = one_line(error.format_message())
        names_a_way_out = error.ctx is None or said.endswith("?")
        super().__init__(said if names_a_way_out else f"{said.rstrip('.')}; see '{error.ctx.command_path} --help'")


def suggest_less(error: Any) -> None:
    """Leave of the names that click suggests those that are really close to the one given."""
    given = (getattr(error, "option_name", None) or getattr(error, "command_name", "")).strip("-")
    for name in list(getattr(error, "possibilities", None) or []):
        if SequenceMatcher(None, given, name.strip("-")).ratio() < CLOSE:
            error.possibilities.remove(name)


@contextmanager
def wrong_use_in_one_line() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:  # the help itself
        raise
    except click.UsageError as error:
        suggest_less(error)
        raise OneLine(error) from error


class LazyGroup(click.Group):
    """Commands from COMMANDS, each imported on use, so that help and usage errors answer without torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return import_module(f"vidcm.cli.{name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        near = get_close_matches(name, [] if name in COMMANDS else COMMANDS, n=1, cutoff=CLOSE)
        if near:
            raise click.UsageError(f"No such command {name!r}. Did you mean {near[0]!r}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with wrong_use_in_one_line():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with wrong_use_in_one_line():
                return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort) as error:
            click.echo(f"Interrupted.{notes_of(error)}", err=True)
            ctx.exit(130)
        except BrokenPipeError:  # the reader of our output left; click ends quietly
            raise
        except (UserError, OSError) as error:
            if ctx.params["verbose"]:
                raise
            failure = click.ClickException(as_typed(one_line(told(error)), self, ctx) + notes_of(error))
            failure.exit_code = 2 if isinstance(error, WrongUse) else 1
            raise failure from error
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if ctx.params["verbose"]:
                raise
            click.echo(unexpected(error), err=True)
            ctx.exit(1)


def as_typed(text: str, group: click.Group, ctx: click.Context) -> str:
    """`num_frames must be ...` and `lora is for ...` with the option of that name, as the user types it."""
    command = group.get_command(ctx, ctx.invoked_subcommand or "")
    name = re.split(" must | is for ", text, maxsplit=1)[0].replace("-", "_")
    for each in _commands(command, ctx):
        for option in each.params:
            if isinstance(option, click.Option) and option.name == name and name != text:
                return next(opt for opt in option.opts if opt.startswith("--")) + text[len(name) :]
    return text


def _commands(command: click.Command | None, ctx: click.Context) -> Iterator[click.Command]:
    """A command, or those of a group."""
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            yield from _commands(command.get_command(ctx, name), ctx)
    elif command is not None:
        yield command


def told(error: UserError | OSError) -> str:
    """An `OSError` that came all the way with the file it is about, and the way out."""
    if not isinstance(error, OSError) or not error.filename or not error.strerror:
        return str(error)
    out = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the path and its permissions"
    return f"{error.filename}: {error.strerror}: {out}, or take another place"


def one_line(text: str) -> str:
    return " ".join(text.split())


def notes_of(error: BaseException) -> str:
    """What a command added to an error on its way."""
    return "".join(f" ({one_line(note)})" for note in getattr(error, "__notes__", ()))


def unexpected(error: Exception) -> str:
    """What is said of an error that nobody foresaw. Out of memory is told by its name: torch need not be there."""
    is_memory = isinstance(error, MemoryError) or "OutOfMemoryError" in [kind.__name__ for kind in type(error).__mro__]
    hint = "; try a smaller file, or another --device" if is_memory else ""
    told = f"{one_line(str(error))}{notes_of(error)}{hint}"
    return f"vidcm: unexpected {type(error).__name__}: {told}; run with -v for the traceback"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vidcm")
@click.option("-v", "--verbose", is_flag=True, envvar="VIDCM_DEBUG", help="Show tracebacks and the libraries' notices.")
def cli(verbose: bool) -> None:
    """Few-step video: interpolate real files, generate clips, and train the models that do it."""
    # Read when torch loads: idle OpenMP threads that spin take the core from the working one (2-5 times slower here).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")  # training needs more than 1024
    if verbose:
        logging.getLogger("xformers").setLevel(logging.WARNING)  # which importing vidcm silenced


def main() -> None:
    """Run the command line on sys.argv; raises SystemExit with the exit code."""
    cli(prog_name="vidcm")


if __name__ == "__main__":  # the former name of python -m vidcm
    from runpy import run_module

    run_module("vidcm", run_name="__main__")
