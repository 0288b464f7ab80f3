"""Arguments to commands, errors to one sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from backsweep.cli.prefect import add_no_prefect
from backsweep.errors import BacksweepError, InvariantError, NumericError, TransientError, UserError
from backsweep.settings import pin_numeric_environment

__all__ = ["EXIT_CODES", "build_parser", "main"]

EXIT_CODES = {
    0: "done; for validate and verify: nothing wrong",
    1: "the sweep failed, or verify or diff found a difference",
    2: "bad input: the document, the data, the store or the command line",
    3: "incomplete: what is finished is stored; run the same command to go on",
    4: "a bug in Backsweep",
    130: "interrupted (Ctrl-C): what is finished is stored; run the same command to go on",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see `EXIT_CODES`."""
    pin_numeric_environment()
    options = build_parser().parse_args(arguments)
    module, function = options.command_path.split(":")
    try:
        command = getattr(importlib.import_module(module), function)
        return int(command(options))
    except KeyboardInterrupt:
        _say("interrupted: what is finished is stored; run the same command to go on")
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone (backsweep ... | head): nobody to tell
        return 0
    except BacksweepError as error:
        for sentence in getattr(error, "problems", error.args):
            _say(f"{error.reason}: {sentence}")
        return _exit_code(error)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
    parser = argparse.ArgumentParser(
        prog="backsweep",
        description="Backtest tournaments: thousands of walk-forward portfolio backtests, judged for luck.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_document_commands(commands)
    _add_store_commands(commands)
    _add_history_commands(commands)
    _add_log_commands(commands)
    _add_trial_commands(commands)
    _add_matrix_commands(commands)
    _add_data_commands(commands)
    _add_server_commands(commands)
    return parser


def _add_document_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _command(commands, "run", "run:run", "run a sweep; what the store already has is not computed again")
    _add_document(run)
    run.add_argument("--output", metavar="DIR", help="run folder (default: runs/NAME)")
    run.add_argument(
        "--baseline",
        choices=("sample", "full", "none"),
        default="sample",
        help="how the serial time behind the speedup is measured (default: on a sample of the work, done again)",
    )
    add_no_prefect(run)
    pipeline = _command(commands, "pipeline", "pipeline:pipeline", "run the steps of a pipeline, then its sweep")
    pipeline.add_argument("file", metavar="FILE", help="a Python file that defines `pipeline`")
    _add_set(pipeline)
    pipeline.add_argument("--output", metavar="DIR", help="run folder of the sweep (default: runs/NAME)")
    pipeline.add_argument("--again", action="append", default=[], metavar="STEP", help="run a step whatever is stored")
    pipeline.add_argument("--json", action="store_true", help="print JSON")
    add_no_prefect(pipeline)
    plan = _command(commands, "plan", "run:plan", "print what a sweep would compute, and what the store already has")
    _add_document(plan)
    validate = _command(commands, "validate", "documents:validate", "check a document and name every problem")
    validate.add_argument("file", metavar="FILE")
    validate.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", dest="sets")
    validate.add_argument("--target", choices=("local", "cluster"), default="local", help="where it is to run")
    schema = _command(commands, "schema", "documents:schema", "print the document's JSON Schema, for editors")
    schema.add_argument("--crd", action="store_true", help="print the CustomResourceDefinition instead")
    schema.add_argument("--policy", action="store_true", help="print the admission policy that goes with it")
    _command(commands, "profiles", "documents:profiles", "list the portfolio construction methods")


def _add_store_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = _command(commands, "verify", "stored:verify", "re-hash everything a manifest names")
    verify.add_argument("manifest", metavar="MANIFEST", help="a run folder, its manifest.json, or one in s3://")
    _add_bucket(verify)
    gc = _command(commands, "gc", "stored:collect", "delete unreferenced objects older than 7 days")
    gc.add_argument(
        "store",
        metavar="STORE",
        nargs="?",
        default=None,
        help="folder or s3://bucket/prefix (default: .backsweep/store)",
    )
    _add_bucket(gc)
    gc.add_argument("--dry-run", action="store_true", help="say what would be deleted")
    gc.add_argument("--json", action="store_true", help="print JSON")


def _add_history_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    history = _command(commands, "history", "history:history", "list the results committed to a store, newest first")
    history.add_argument(
        "sweep",
        metavar="RUN|NAME",
        nargs="?",
        help="a run folder, a manifest, also one in s3://, or a sweep's name (default: all)",
    )
    history.add_argument("--object", metavar="DIGEST", help="only who used it: data, weights, returns, any digest")
    diff = _command(commands, "diff", "history:diff", "compare two finished sweeps; exit 1 where results differ")
    for side in ("a", "b"):
        diff.add_argument(
            side,
            metavar=side.upper(),
            help="a run folder, a manifest, also one in s3://, its digest, or a sweep's name",
        )
    for parser in (history, diff):
        parser.add_argument("--store", help="folder or s3://bucket/prefix (default: the run's, else .backsweep/store)")
        _add_bucket(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")


def _add_data_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    data = _command(commands, "data", "data:data", "data sets of a store: bring a folder of Parquet in, copy, list")
    actions = data.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    summaries = {
        "import": "check a folder of Parquet files and store it as the newest version of a data set",
        "push": "copy a data set, or a folder of Parquet files, to another store; only what that lacks is sent",
        "list": "list the data sets of a store",
        "show": "show what a version of a data set holds",
    }
    for name, summary in summaries.items():
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == "import":
            action.add_argument("folder", metavar="FOLDER")
        elif name != "list":
            action.add_argument("place", metavar="NAME[@VERSION]" + ("|FOLDER" if name == "push" else ""))
        if name in ("import", "push"):
            action.add_argument("--name", help="the data set's name (default: the folder's)")
        if name == "push":
            action.add_argument("--from", dest="source", metavar="STORE", help="copy from (default: .backsweep/store)")
        default = "" if name == "push" else " (default: .backsweep/store)"
        action.add_argument("--store", required=name == "push", help=f"folder or s3://bucket/prefix{default}")
        _add_bucket(action)
        action.add_argument("--json", action="store_true", help="print JSON")


def _add_log_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    logs = _command(commands, "logs", "logs:logs", "print what a sweep's newest run said, from its store")
    logs.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help="a run folder (default: the newest in runs/), the document of a run that left none, or s3://STORE/sweeps/"
        "NAMESPACE/NAME/DIGEST/logs/, as status.links.logs of a sweep on a cluster says",
    )
    _add_bucket(logs)
    logs.add_argument("--workers", action="store_true", help="what its workers printed")
    logs.add_argument("--log", metavar="NAME", help="this log, of those --list names")
    logs.add_argument("--list", action="store_true", help="name the logs of all its runs, the newest last")
    logs.add_argument("--json", action="store_true", help="name them as JSON")


def _add_trial_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    explain = _command(commands, "explain", "trials:explain", "what exactly was computed for a trial")
    _add_trial(explain)
    explain.add_argument("--json", action="store_true", help="print JSON")
    weights = _command(commands, "weights", "trials:weights", "print the target weights of a trial")
    _add_trial(weights)
    weights.add_argument(
        "--as-of",
        default="latest",
        metavar="DATE",
        help="the last decision up to this day; latest decides anew on the newest row of the data",
    )
    weights.add_argument("--json", action="store_true", help="print JSON")
    export = _command(commands, "export", "trials:export", "write series of a run to a file")
    export.add_argument("what", choices=("returns",))
    export.add_argument("trials", metavar="TRIAL", nargs="*", help="trial ids (default: all)")
    _add_run(export)
    export.add_argument("--output", required=True, metavar="FILE", help="a .parquet or .csv file")


def _add_matrix_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    invert = _command(commands, "invert", "matrix:invert", "invert a symmetric positive definite matrix tile by tile")
    invert.add_argument("file", metavar="FILE", help="a square matrix, .npy or .parquet")
    invert.add_argument("--output", required=True, metavar="FILE", help="a .npy or .parquet file")
    invert.add_argument("--tile", type=int, default=1024, metavar="N", help="rows of a tile (default: 1024)")
    invert.add_argument("--memory-mib", type=int, default=512, metavar="N", help="tiles kept in memory (default: 512)")
    invert.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help="on Ray: here, or at an address")
    invert.add_argument("--workers", type=int, metavar="N", help="Ray workers")
    invert.add_argument("--json", action="store_true", help="print JSON")


def _add_server_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    server = _command(commands, "server", "server:server", "start, stop or describe the embedded Prefect server")
    server.add_argument("action", choices=("start", "stop", "status"))
    server.add_argument("--json", action="store_true", help="print JSON")
    ui = _command(commands, "ui", "server:ui", "print the address of Prefect's dashboard, and open it")
    ui.add_argument("--no-browser", action="store_true", help="print it only")
    ui.add_argument("--json", action="store_true", help="print JSON")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, path: str, summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(command_path=f"backsweep.cli.{path}")
    return parser


def _add_document(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a BacktestSweep document (YAML); - is standard input")
    _add_set(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        dest="sets",
        help="replace a field below spec, as in --set axes.lookback=126,252",
    )


def _add_trial(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trial", metavar="TRIAL", help="a trial id, or the beginning of one; `best` is the winner")
    _add_run(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run", metavar="DIR", help="run folder, or a manifest, also one in s3:// (default: the newest in runs/)"
    )
    _add_bucket(parser)


def _add_bucket(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--endpoint-url", metavar="URL", help="endpoint of an S3 that is not Amazon's")
    parser.add_argument("--region", help="region of the bucket")


def _exit_code(error: BacksweepError) -> int:
    if isinstance(error, InvariantError):
        return 4
    if isinstance(error, TransientError):
        return 3
    if isinstance(error, UserError):
        return 1 if error.reason == "VerificationFailed" else 2
    return 1 if isinstance(error, NumericError) else 4


def _say(sentence: str) -> None:
    sys.stderr.write(f"backsweep: {sentence}\n")
