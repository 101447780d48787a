"""The command line.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. What a command
shows goes to standard output, everything else to standard error. The commands
import what they need when they run, so that `triage worklist` never waits for
torch.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from triage import __version__, logs
from triage.cli import db, models, user, worklist
from triage.cli.audit import audit
from triage.cli.bench import bench
from triage.cli.dataset import dataset
from triage.cli.doctor import doctor
from triage.cli.evaluate import evaluate
from triage.cli.output import tell
from triage.cli.quickstart import quickstart
from triage.cli.score import score
from triage.cli.serve import serve
from triage.cli.show import show
from triage.cli.train import train
from triage.errors import TriageError

app = typer.Typer(
    name="triage",
    help="Receive upper-extremity radiographs, score them, and put the reading worklist in order.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(quickstart)
app.command()(worklist.worklist)
app.command()(show)
app.command()(worklist.claim)
app.command()(worklist.release)
app.command()(worklist.read)
app.command()(worklist.unread)
app.command()(worklist.rescore)
app.command()(score)
app.command()(dataset)
app.command()(train)
app.command()(evaluate)
app.command()(doctor)
app.command()(bench)
app.command()(audit)
app.add_typer(models.app, name="model")
app.add_typer(db.app, name="db")
app.add_typer(user.app, name="user")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triage {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The settings file; by default ./triage.toml, then /etc/triage/triage.toml.",
            metavar="FILE",
        ),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    if log_level not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter("give debug, info, warning or error", param_hint="--log-level")
    logs.configure(level=log_level)
    context.obj = config


def main() -> None:
    """Run the command line; the errors that a user can act on are one line, not a traceback."""
    try:
        app(args=_config_first(sys.argv[1:]))
    except TriageError as error:
        tell(f"triage: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of the pipe has what it wanted
        sys.stderr.close()
        sys.exit(0)
    except Exception:  # ours to mend; what it quotes stays out of a log
        logs.get(__name__).critical("process_failed", exc_info=True)
        sys.exit(1)


def _config_first(arguments: list[str]) -> list[str]:
    """Let `--config FILE` stand after the command too, where most people write it."""
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--config" and index + 1 < len(arguments):
            end = index + 2
        elif argument.startswith("--config="):
            end = index + 1
        else:
            continue
        return arguments[index:end] + arguments[:index] + arguments[end:]
    return arguments
