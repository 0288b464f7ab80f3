"""Steps as real processes: what is stored is not run, what fails leaves nothing, what is killed is gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backsweep.errors import BacksweepError, StepError, TransientError, UserError
from backsweep.flow import Attempts, Step, StoredData, step
from backsweep.flow.pipeline import read_pipeline
from backsweep.flow.step_attempt import StepDone
from backsweep.flow.step_graph import ordered
from backsweep.flow.step_run import StepListener, run_steps, try_plainly
from backsweep.stores.data_versions import find_version
from backsweep.stores.file import FileStore
from backsweep.stores.opening import AnyStore

ONCE = Attempts(retries=0)
# Counts how often it ran, outside of all scratch folders.
SCRIPT = """
import os, pathlib, sys, time
source, target, word = sys.argv[1:4]
with open(os.environ["COUNTER"], "a") as counter:
    counter.write(word + "\\n")
pathlib.Path(target).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(target).write_text(pathlib.Path(source).read_text() + word)
print("made", target)
"""


class Place:
    """A pipeline's folder with its store."""

    def __init__(self, folder: Path, store: AnyStore) -> None:
        self.folder = folder
        self.store = store
        self.said: list[str] = []
        self.counter = folder / "counter"
        (folder / "add.py").write_text(SCRIPT)
        (folder / "raw.txt").write_text("raw ")

    def run(self, *steps: Step, again: Sequence[str] = ()) -> dict[str, StepDone]:
        listener = StepListener(lambda name, line: self.said.append(f"{name}: {line}"), lambda done: None)
        done = run_steps(ordered(steps), self.folder, self.store, listener, try_plainly, again)
        return {each.name: each for each in done}

    def ran(self) -> list[str]:
        """Return which scripts ran since the last look, and forget them."""
        words = self.counter.read_text().split() if self.counter.exists() else []
        self.counter.unlink(missing_ok=True)
        return words

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    return Place(tmp_path, FileStore(tmp_path / "store"))


def add(source: str, target: str, word: str, *inputs: Any, **declared: Any) -> Step:
    return step(
        ["python", "add.py", source, target, word],
        inputs=inputs or [source],
        outputs=[target],
        name=word,
        **{"attempts": ONCE, **declared},
    )


def chain() -> list[Step]:
    one = add("raw.txt", "build/one.txt", "one")
    two = add("build/one.txt", "build/two.txt", "two", one)
    return [one, two, add("raw.txt", "build/side.txt", "side")]


def fail(at: Place, text: str, attempts: Attempts = ONCE, **declared: Any) -> str:
    (at.folder / "bad.py").write_text(text)
    bad = step(["python", "bad.py"], **{"outputs": ["out"], **declared}, name="bad", attempts=attempts)
    with pytest.raises(StepError) as failed:
        at.run(bad)
    return str(failed.value)


def test_a_second_run_restores_what_is_missing_and_runs_nothing(at: Place) -> None:
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


def test_what_is_changed_runs_again_and_what_follows_from_it(at: Place) -> None:
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


def test_a_step_whose_new_input_is_the_old_one_does_not_run(at: Place) -> None:
    constant = step(["sh", "-c", "grep -c . raw.txt > n.txt"], inputs=["raw.txt"], outputs=["n.txt"], name="count")
    last = add("n.txt", "last.txt", "last", constant)
    at.run(last)
    at.ran()
    (at.folder / "raw.txt").write_text("one other line")
    done = at.run(last)
    assert (done["count"].is_cached, done["last"].is_cached) == (False, True)


def test_a_parameter_decides_and_a_name_does_not(at: Place) -> None:
    def echo(name: str, **parameters: Any) -> Step:
        return step(["sh", "-c", 'echo "$@" > out', "sh"], outputs=["out"], parameters=parameters, name=name)

    at.run(echo("a", most_assets=3, quick=True, slow=False))
    assert at.text("out") == "--most-assets 3 --quick\n"
    assert at.run(echo("b", most_assets=3, quick=True, slow=False))["b"].is_cached
    assert not at.run(echo("b", most_assets=4, quick=True, slow=False))["b"].is_cached


def test_a_function_is_called_with_paths_and_parameters_in_a_process_of_its_own(at: Place) -> None:
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


def test_a_step_sees_what_it_declares_and_nothing_else(at: Place) -> None:
    (at.folder / "secret.txt").write_text("not declared")
    lists = step(["sh", "-c", "ls > out; cat raw.txt >> out"], inputs=["raw.txt"], outputs=["out"], name="lists")
    at.run(lists)
    assert at.text("out") == "out\nraw.txt\nraw "
    assert "cat: secret.txt" in fail(at, "import subprocess\nsubprocess.run(['cat', 'secret.txt'], check=True)")


def test_a_failure_is_one_sentence_with_the_end_of_stderr_and_leaves_nothing(at: Place) -> None:
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


def test_a_step_that_changes_its_input_is_refused(at: Place) -> None:
    said = fail(at, "open('raw.txt', 'a').write('more')\nopen('out', 'w').write('x')", inputs=["raw.txt"])
    assert "its input raw.txt changed while it ran; a step that repairs its input" in said
    assert not (at.folder / "out").exists()


def test_a_step_is_tried_again_as_often_as_it_says(at: Place) -> None:
    (at.folder / "bad.py").write_text(
        "import os, sys\nfrom pathlib import Path\ncounter = Path(os.environ['COUNTER'])\n"
        "n = len(counter.read_text()) if counter.exists() else 0\ncounter.write_text('x' * (n + 1))\n"
        "if n < 2:\n    sys.exit('not yet')\nPath('out').write_text('now')\n"
    )
    flaky = step(["python", "bad.py"], outputs=["out"], attempts=Attempts(retries=2, pause_seconds=0.01))
    at.run(flaky)
    assert (at.text("out"), at.text("counter")) == ("now", "xxx")


def test_after_a_failure_what_is_beside_it_ends_and_what_follows_does_not_run(at: Place) -> None:
    (at.folder / "bad.py").write_text("import sys\nsys.exit(3)")
    bad = step(["python", "bad.py"], inputs=["raw.txt"], outputs=["bad.txt"], name="bad", attempts=ONCE)
    steps = [add("raw.txt", "side.txt", "side"), bad, add("bad.txt", "after.txt", "after", bad)]
    with pytest.raises(StepError, match="exit code 3, and said nothing on stderr"):
        at.run(*steps)
    assert at.ran() == ["side"]
    (at.folder / "bad.py").write_text("open('bad.txt', 'w').write('good ')")
    at.run(*steps)
    assert at.ran() == ["after"]


def test_what_cannot_be_started_is_said_before_anything_runs(at: Place) -> None:
    cases = [
        (step(["python", "none.py"], outputs=["x"]), "step none: there is no script"),
        (step(["no-such-program"], outputs=["x"]), "there is no program no-such-program"),
        (add("missing.txt", "x", "missing"), "there is no input"),
    ]
    for wrong, sentence in cases:
        with pytest.raises(UserError, match=sentence):
            at.run(wrong)


def test_what_stood_in_the_way_is_kept_unless_the_store_has_it(at: Place) -> None:
    (at.folder / "build").mkdir()
    (at.folder / "build/one.txt").write_text("my own notes")
    at.run(*chain()[:1])
    kept = [path.read_text() for path in (at.folder / ".backsweep/replaced").rglob("one.txt")]
    assert (kept, at.text("build/one.txt")) == (["my own notes"], "raw one")
    assert any("it is kept at" in line for line in at.said)
    (at.folder / "raw.txt").write_text("other ")
    at.run(*chain()[:1])  # what it replaces now is its own, and in the store
    assert len(list((at.folder / ".backsweep/replaced").rglob("one.txt"))) == 1


def test_a_damaged_store_makes_the_step_run_again(at: Place) -> None:
    done = at.run(*chain()[:1])["one"]
    at.ran()
    (digest,) = done.outputs["build/one.txt"].values()
    at.folder.joinpath("store/objects/sha256", digest[:2], digest).write_bytes(b"damaged")
    (at.folder / "build/one.txt").unlink()
    at.run(*chain()[:1])
    assert (at.ran(), at.text("build/one.txt")) == (["one"], "raw one")


def test_again_runs_a_step_whatever_is_stored(at: Place) -> None:
    clock = step(["sh", "-c", "date +%N > out"], outputs=["out"], name="clock")
    at.run(clock)
    before = at.text("out")
    assert not at.run(clock, again=["clock"])["clock"].is_cached
    assert at.text("out") != before
    now = at.text("out")
    (at.folder / "out").unlink()
    assert at.run(clock)["clock"].is_cached
    assert at.text("out") == now


def test_steps_that_need_nothing_of_each_other_run_side_by_side(at: Place) -> None:
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


def test_data_sets_of_the_store_are_inputs_and_outputs(at: Place) -> None:
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


def test_of_two_runs_in_one_folder_the_second_is_told_so(at: Place) -> None:
    wait = step(["sh", "-c", "touch $COUNTER; sleep 2; touch out; echo x > out"], outputs=["out"], name="wait")
    thread = threading.Thread(target=at.run, args=(wait,))
    thread.start()
    while not at.counter.exists():
        time.sleep(0.01)
    with pytest.raises(TransientError, match="another run of a pipeline works in this folder"):
        at.run(wait)
    thread.join()


DRIVER = """
import sys
from pathlib import Path
from backsweep.settings import pin_numeric_environment
pin_numeric_environment()
from backsweep.flow import step
from backsweep.flow.step_graph import ordered
from backsweep.flow.step_run import StepListener, run_steps
from backsweep.stores.file import FileStore
folder = Path(sys.argv[1])
slow = step(["python", "slow.py"], outputs=["lake"], name="slow")
run_steps(ordered([slow]), folder, FileStore(folder / "store"), StepListener(print, print))
"""
SLOW = """
import os, pathlib, time
os.mkdir("lake")
for number in range(3):
    pathlib.Path(f"lake/{number}").write_text(str(number))
    pathlib.Path(os.environ["COUNTER"]).touch()
    while number == 1 and not pathlib.Path(os.environ["COUNTER"] + ".go").exists():
        time.sleep(0.02)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_pipeline_killed_in_the_middle_leaves_no_half_and_goes_on(at: Place, sent: signal.Signals) -> None:
    (at.folder / "driver.py").write_text(DRIVER)
    (at.folder / "slow.py").write_text(SLOW)
    command = [sys.executable, str(at.folder / "driver.py"), str(at.folder)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not at.counter.exists():
            time.sleep(0.02)
        killed.send_signal(sent)
        killed.communicate(timeout=30)
        assert killed.returncode != 0
        assert not (at.folder / "lake").exists()
    finally:
        Path(f"{at.counter}.go").touch()  # what SIGKILL left alone ends by itself
    slow = step(["python", "slow.py"], outputs=["lake"], name="slow")
    assert not at.run(slow)["slow"].is_cached
    assert sorted(path.name for path in (at.folder / "lake").iterdir()) == ["0", "1", "2"]
    assert at.run(slow)["slow"].is_cached


def test_a_bucket_remembers_steps_for_another_machine(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        at = Place(tmp_path / name, bucket.open())
        done = at.run(*chain())
        assert at.text("build/two.txt") == "raw onetwo"
        assert all(each.is_cached == (name == "there") for each in done.values())


def test_an_error_of_the_store_is_not_tried_again(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UserError("the store is read-only")

    monkeypatch.setattr(at.store, "put_unit", refuse)
    with pytest.raises(BacksweepError, match="read-only"):
        at.run(add("raw.txt", "x.txt", "x", attempts=Attempts(retries=3)))
    assert at.ran() == ["x"]
    assert not (at.folder / "x.txt").exists()


def test_a_pipeline_file_that_cannot_be_run_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "pipeline.py"
    begin = "from backsweep.flow import Pipeline, step\na = step(['sh', '-c', 'true'], outputs=['x'], name='a')\n"
    cases = {
        "x = 1\nraise ValueError('no')\n": f"{file}: line 2: ValueError: no",
        "x = (\n": f"{file}: line 1: SyntaxError",
        "x = 1\n": f"{file}: it defines no pipeline; write pipeline = Pipeline",
        f"{begin}pipeline = Pipeline([a])\n": f"--again b: {file} has no such step; it has a",
        f"{begin}step([], outputs=['x'])\n": "step step: it has no command",
    }
    for text, sentence in cases.items():
        file.write_text(text)
        with pytest.raises(UserError) as refused:
            read_pipeline(file, [], ["b"])
        assert sentence in str(refused.value)
    file.write_text(f"{begin}pipeline = Pipeline([a])\n")
    with pytest.raises(UserError, match="ends in no sweep"):
        read_pipeline(file, ["axes.lookback=126"], [])
    file.write_text(f"{begin}pipeline = Pipeline([a], sweep='s.yaml')\n")
    with pytest.raises(UserError, match=f"{file}: its sweep {tmp_path}/s.yaml cannot be read"):
        read_pipeline(file, [], [])
    with pytest.raises(UserError, match="there is no such file"):
        read_pipeline(tmp_path / "none.py", [], [])
