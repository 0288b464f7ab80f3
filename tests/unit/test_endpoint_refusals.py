"""What is on this machine names its store itself: every command refuses an endpoint or region given with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backsweep import open as open_sweep
from backsweep.cli.main import main
from backsweep.errors import UserError

COMMANDS = [
    ["verify", "RUN"],
    ["history", "RUN"],
    ["diff", "RUN", "RUN"],
    ["logs", "RUN"],
    ["explain", "best", "--run", "RUN"],
    ["weights", "best", "--run", "RUN"],
    ["export", "returns", "--run", "RUN", "--output", "all.csv"],
]


@pytest.fixture
def run(tmp_path: Path) -> str:
    folder = tmp_path / "runs" / "night"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return str(folder)


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
@pytest.mark.parametrize("bucket", ["--endpoint-url=http://127.0.0.1:9", "--region=moon"])
def test_a_command_on_a_run_folder_takes_none(
    command: list[str], bucket: str, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([run if word == "RUN" else word for word in command] + [bucket]) == 2
    said = capsys.readouterr().err
    assert said.endswith(f"{run}: what is on this machine names its store itself; leave endpoint and region out\n")


def test_a_notebook_on_a_run_folder_takes_none(run: str) -> None:
    with pytest.raises(UserError, match="leave endpoint and region out"):
        open_sweep(run, region="moon")


def test_of_two_sides_one_in_a_bucket_the_other_is_read_without(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", run, "s3://bucket/nothing", "--region=moon"]) != 0
    assert "leave endpoint and region out" not in capsys.readouterr().err
