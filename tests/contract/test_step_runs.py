"""Steps as real processes: what is stored is not run, what fails leaves nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.contract.step_folder import ONCE, SCRIPT, StepFolder, add, chain

from backsweep.errors import BacksweepError, StepError, UserError
from backsweep.flow import Attempts, Step, StoredData, step
from backsweep.stores.data_versions import find_version
from backsweep.stores.file import FileStore


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StepFolder:
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    return StepFolder(tmp_path, FileStore(tmp_path / "store"))


def fail(at: StepFolder, text: str, attempts: Attempts = ONCE, **declared: Any) -> str:
    (at.folder / "bad.py").write_text(text)
    bad = step(["python", "bad.py"], **{"outputs": ["out"], **declared}, name="bad", attempts=attempts)
    with pytest.raises(StepError) as failed:
        at.run(bad)
    return str(failed.value)


def test_a_second_run_restores_what_is_missing_and_runs_nothing(at: StepFolder) -> None:
    first = at.run(*chain())
    assert sorted(at.ran()) == ["one", "side", "two"]
    assert at.text("build/two.txt") == "raw onetwo"
    assert [each.is_cached for each in first.values()] == [False] * 3
    (at.folder / "build/two.txt").unlink()
    (at.folder / "build/side.txt").write_text("spoilt")
    second = at.run(*chain())
    assert at.ran() == []
    assert [each.is_cached for each in second.values()] == [True] * 3
    assert (at.text("build/two.txt"), at.text("build/side.txt")) == ("raw onetwo", "raw side")
    assert {name: each.identity for name, each in first.items()} == {name: e.identity for name, e in second.items()}
    assert (at.folder / ".backsweep/logs/one.log").read_text() == "made build/one.txt\n"


def test_what_is_changed_runs_again_and_what_follows_from_it(at: StepFolder) -> None:
    at.run(*chain())
    at.ran()
    (at.folder / "raw.txt").write_text("new ")
    at.run(*chain())
    assert sorted(at.ran()) == ["one", "side", "two"]
    (at.folder / "add.py").write_text(SCRIPT + "# a comment\n")
    at.run(*chain())
    assert sorted(at.ran()) == ["one", "side", "two"]
    at.run(*chain()[:2], add("raw.txt", "build/side.txt", "other"))
    assert at.ran() == ["other"]
    assert at.text("build/two.txt") == "new onetwo"


def test_a_step_whose_new_input_is_the_old_one_does_not_run(at: StepFolder) -> None:
    constant = step(["sh", "-c", "grep -c . raw.txt > n.txt"], inputs=["raw.txt"], outputs=["n.txt"], name="count")
    last = add("n.txt", "last.txt", "last", constant)
    at.run(last)
    at.ran()
    (at.folder / "raw.txt").write_text("one other line")
    done = at.run(last)
    assert (done["count"].is_cached, done["last"].is_cached) == (False, True)


def test_a_parameter_decides_and_a_name_does_not(at: StepFolder) -> None:
    def echo(name: str, **parameters: Any) -> Step:
        return step(["sh", "-c", 'echo "$@" > out', "sh"], outputs=["out"], parameters=parameters, name=name)

    at.run(echo("a", most_assets=3, quick=True, slow=False))
    assert at.text("out") == "--most-assets 3 --quick\n"
    assert at.run(echo("b", most_assets=3, quick=True, slow=False))["b"].is_cached
    assert not at.run(echo("b", most_assets=4, quick=True, slow=False))["b"].is_cached


def test_a_function_is_called_with_paths_and_parameters_in_a_process_of_its_own(at: StepFolder) -> None:
    (at.folder / "made_of_steps.py").write_text(
        "import os\nfrom pathlib import Path\n\n"
        "def join(source, target, word, times):\n"
        "    Path(target).write_text(Path(source).read_text() + word * times + f' {os.getpid()}')\n"
    )
    sys.path.insert(0, str(at.folder))
    try:
        import made_of_steps  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(at.folder))
    joined = step(made_of_steps.join, ["raw.txt"], ["out.txt"], {"word": "x", "times": 2})
    at.run(joined)
    begin, pid = at.text("out.txt").rsplit(" ", 1)
    assert begin == "raw xx"
    assert int(pid) != os.getpid()
    assert at.run(joined)["join"].is_cached
    (at.folder / "made_of_steps.py").write_text((at.folder / "made_of_steps.py").read_text() + "# changed\n")
    assert not at.run(joined)["join"].is_cached


def test_a_step_sees_what_it_declares_and_nothing_else(at: StepFolder) -> None:
    (at.folder / "secret.txt").write_text("not declared")
    lists = step(["sh", "-c", "ls > out; cat raw.txt >> out"], inputs=["raw.txt"], outputs=["out"], name="lists")
    at.run(lists)
    assert at.text("out") == "out\nraw.txt\nraw "
    assert "cat: secret.txt" in fail(at, "import subprocess\nsubprocess.run(['cat', 'secret.txt'], check=True)")


def test_a_failure_is_one_sentence_with_the_end_of_stderr_and_leaves_nothing(at: StepFolder) -> None:
    said = fail(at, "import sys\nopen('out', 'w').write('half')\nprint('hello')\nsys.exit('no prices for AAPL')")
    assert said == "step bad: it ended with exit code 1; its stderr ends:\n  no prices for AAPL"
    assert not (at.folder / "out").exists()
    assert sorted(at.said) == ["bad: hello", "bad: no prices for AAPL"]  # of two streams, in any order
    assert list((at.folder / ".backsweep").glob("steps/*")) == []
    assert "step bad: it was killed by SIGSEGV" in fail(at, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    quick = Attempts(retries=0, timeout_seconds=0.3)
    assert "step bad: it still ran after 0.3 s and was killed" in fail(at, "import time\ntime.sleep(60)", quick)
    assert "did not write its output out; it wrote other" in fail(at, "open('other', 'w').write('x')")
    assert "output out: it is an empty folder" in fail(at, "import os\nos.mkdir('out')")
    assert "output out: out is a symbolic link" in fail(at, "import os\nos.symlink('/etc/hosts', 'out')")


def test_a_step_that_changes_its_input_is_refused(at: StepFolder) -> None:
    said = fail(at, "open('raw.txt', 'a').write('more')\nopen('out', 'w').write('x')", inputs=["raw.txt"])
    assert "its input raw.txt changed while it ran; a step that repairs its input" in said
    assert not (at.folder / "out").exists()


def test_a_step_is_tried_again_as_often_as_it_says(at: StepFolder) -> None:
    (at.folder / "bad.py").write_text(
        "import os, sys\nfrom pathlib import Path\ncounter = Path(os.environ['COUNTER'])\n"
        "n = len(counter.read_text()) if counter.exists() else 0\ncounter.write_text('x' * (n + 1))\n"
        "if n < 2:\n    sys.exit('not yet')\nPath('out').write_text('now')\n"
    )
    flaky = step(["python", "bad.py"], outputs=["out"], attempts=Attempts(retries=2, pause_seconds=0.01))
    at.run(flaky)
    assert (at.text("out"), at.text("counter")) == ("now", "xxx")


def test_after_a_failure_what_is_beside_it_ends_and_what_follows_does_not_run(at: StepFolder) -> None:
    (at.folder / "bad.py").write_text("import sys\nsys.exit(3)")
    bad = step(["python", "bad.py"], inputs=["raw.txt"], outputs=["bad.txt"], name="bad", attempts=ONCE)
    steps = [add("raw.txt", "side.txt", "side"), bad, add("bad.txt", "after.txt", "after", bad)]
    with pytest.raises(StepError, match="exit code 3, and said nothing on stderr"):
        at.run(*steps)
    assert at.ran() == ["side"]
    (at.folder / "bad.py").write_text("open('bad.txt', 'w').write('good ')")
    at.run(*steps)
    assert at.ran() == ["after"]


def test_what_cannot_be_started_is_said_before_anything_runs(at: StepFolder) -> None:
    cases = [
        (step(["python", "none.py"], outputs=["x"]), "step none: there is no script"),
        (step(["no-such-program"], outputs=["x"]), "there is no program no-such-program"),
        (add("missing.txt", "x", "missing"), "there is no input"),
    ]
    for wrong, sentence in cases:
        with pytest.raises(UserError, match=sentence):
            at.run(wrong)


def test_what_stood_in_the_way_is_kept_unless_the_store_has_it(at: StepFolder) -> None:
    (at.folder / "build").mkdir()
    (at.folder / "build/one.txt").write_text("my own notes")
    at.run(*chain()[:1])
    kept = [path.read_text() for path in (at.folder / ".backsweep/replaced").rglob("one.txt")]
    assert (kept, at.text("build/one.txt")) == (["my own notes"], "raw one")
    assert any("it is kept at" in line for line in at.said)
    (at.folder / "raw.txt").write_text("other ")
    at.run(*chain()[:1])  # what it replaces now is its own, and in the store
    assert len(list((at.folder / ".backsweep/replaced").rglob("one.txt"))) == 1


def test_a_damaged_store_makes_the_step_run_again(at: StepFolder) -> None:
    done = at.run(*chain()[:1])["one"]
    at.ran()
    (digest,) = done.outputs["build/one.txt"].values()
    at.folder.joinpath("store/objects/sha256", digest[:2], digest).write_bytes(b"damaged")
    (at.folder / "build/one.txt").unlink()
    at.run(*chain()[:1])
    assert (at.ran(), at.text("build/one.txt")) == (["one"], "raw one")


def test_again_runs_a_step_whatever_is_stored(at: StepFolder) -> None:
    clock = step(["sh", "-c", "date +%N > out"], outputs=["out"], name="clock")
    at.run(clock)
    before = at.text("out")
    assert not at.run(clock, again=["clock"])["clock"].is_cached
    assert at.text("out") != before
    now = at.text("out")
    (at.folder / "out").unlink()
    assert at.run(clock)["clock"].is_cached
    assert at.text("out") == now


def test_steps_that_need_nothing_of_each_other_run_side_by_side(at: StepFolder) -> None:
    meet = "import sys, time, pathlib\nmine, other = sys.argv[1:3]\npathlib.Path(mine).touch()\n"
    meet += (
        "while not pathlib.Path(other).exists():\n    time.sleep(0.01)\nopen('out' + sys.argv[3], 'w').write('met')\n"
    )
    (at.folder / "meet.py").write_text(meet)
    places = [str(at.folder / "a"), str(at.folder / "b")]
    limit = Attempts(retries=0, timeout_seconds=30.0)
    one = step(["python", "meet.py", *places, "1"], outputs=["out1"], name="one", attempts=limit)
    two = step(["python", "meet.py", *places[::-1], "2"], outputs=["out2"], name="two", attempts=limit)
    if (os.cpu_count() or 1) > 1:
        at.run(one, two)
        assert at.text("out1") == at.text("out2") == "met"


def test_data_sets_of_the_store_are_inputs_and_outputs(at: StepFolder) -> None:
    write = "import pyarrow as pa, pyarrow.parquet as pq, sys, os\nos.makedirs('lake')\n"
    write += "pq.write_table(pa.table({'date': ['2020-01-02'], 'A': [float(sys.argv[1])]}), 'lake/p.parquet')\n"
    (at.folder / "write.py").write_text(write)

    def made(value: str) -> Step:
        return step(["python", "write.py", value], outputs=[StoredData("prices", "lake")], name="write")

    read = step(["sh", "-c", "ls data > seen"], inputs=[StoredData("prices", "data")], outputs=["seen"], name="read")
    at.run(made("1"))
    first = find_version(at.store, "prices")
    at.run(made("2"))
    assert find_version(at.store, "prices").version != first.version
    assert at.run(made("1"))["write"].is_cached
    assert find_version(at.store, "prices").version == first.version  # what stands in the folder is the newest
    assert not at.run(read)["read"].is_cached
    assert at.text("seen") == "p.parquet\n"
    assert at.run(read)["read"].is_cached
    at.run(made("2"))
    assert not at.run(read)["read"].is_cached  # a new version is a new input


def test_an_error_of_the_store_is_not_tried_again(at: StepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UserError("the store is read-only")

    monkeypatch.setattr(at.store, "put_unit", refuse)
    with pytest.raises(BacksweepError, match="read-only"):
        at.run(add("raw.txt", "x.txt", "x", attempts=Attempts(retries=3)))
    assert at.ran() == ["x"]
    assert not (at.folder / "x.txt").exists()
