"""Whether the API server and `backsweep validate` say the same of a document: what docs/crd.md promises, to the letter.

Both accept or both refuse, but for what the operator alone can tell. The API server's own checks come first and speak
its own words about the same field; CEL of the definition and the policy speak the sentences of validate. validate tells
fields first, rules between them once all fields are right, and what no cluster can do once all rules hold; CEL tells a
rule wherever the fields it reads are right. So where validate has an earlier problem, CEL may say more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pydantic import ValidationError
from tests.cluster.api_calls import Answer

from backsweep_api.errors import SpecError
from backsweep_api.not_built import NOT_BUILT
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.tree import read_tree
from backsweep_api.validation import validate

DENIED = "denied request: "
CUT = " ..."
UNCHECKED = "some validation rules were not checked because the object was invalid"
# What the API server's schema says by itself; each is about one field.
OWN_WORDS = re.compile(
    r"must be of type|^Required value|^Too long|^Too many|^Unsupported value|should have at (least|most)|"
    r"should be (greater|less)|should match|^Duplicate value|RFC 1123|Invalid value: \"object\": spec in body"
)
# What the operator alone tells: what needs counting, what stands in exclusions, a symbol among thousands.
COUNTED = re.compile(
    r"found [\d,]+ trials; a sweep has at most|more than the axes have distinct points|"
    r"which has none of the profiles; leave it out|and by the first engine all choices are ranked|"
    r"^spec\.axes\.exclude(: leaves nothing|\[\d+\](: is the same as|: matches no point|\.))|"
    r": found a symbol twice; write each once$"
)
EXCLUSION = "spec.axes.exclude["  # its values are those of the axes: not of one field to validate
# What a cluster cannot do; validate tells it once all rules hold.
OF_A_CLUSTER = re.compile(r"is a (folder|file) of one machine; a cluster|; a cluster keeps results in a bucket")
# A client that sends 20.0 where kubectl sends 20 is not understood by CEL, though the schema takes it.
FRACTION = re.compile(r'expected int, got float64|must be of type integer: "number"')
# The API server takes a number for whole that is as near to one as this.
NEARLY_WHOLE = re.compile(r": found -?\d+\.(0{6,}|9{6,})\d*; write a whole number")
# Of one field by itself, which validate tells, too, whatever else is wrong.
VALUE = r'(".*"|-?[\d.]+(e[-+]\d+)?|true|false|an? \w+( of [\d.]+ \w+)?)'
OF_ONE_FIELD = re.compile(rf": found {VALUE}; write |failed rule|is not a field")
NUMBER = re.compile(r"-?\d+(,\d{3})*(\.\d+)?([eE][-+]?\d+)?")
MAP_KEY = re.compile(r"\[([^]\d][^]]*)\]")
ESCAPED = re.compile(r'\\(u[0-9a-f]{4}|[ntrbf"\\])')
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
GUESS = re.compile(r'^(?P<path>.+?): (is not a field|found (?P<found>".*"); did you mean)')


class Stage(IntEnum):
    """How far validate came."""

    TEXT = 0
    FIELDS = 1
    RULES = 2
    CLUSTER = 3


@dataclass(frozen=True)
class Verdict:
    """What validate says."""

    stage: Stage
    problems: tuple[str, ...]

    @property
    def of_the_server(self) -> list[str]:
        """The sentences that the API server is to say, too."""
        return [each for each in self.problems if not COUNTED.search(each) and not NEARLY_WHOLE.search(each)]


def judge(text: str) -> Verdict:
    """Return what validate says of a document."""
    problems = tuple(validate(text, "cluster"))
    return Verdict(_stage(text), problems)


def _stage(text: str) -> Stage:
    try:
        BacktestSweep.model_validate(read_tree(text)[0])
    except SpecError:
        return Stage.TEXT
    except ValidationError as error:
        return Stage.RULES if any(each["type"] == "rules" for each in error.errors()) else Stage.FIELDS
    return Stage.CLUSTER


def disagreement(verdict: Verdict, answer: Answer) -> str | None:
    """Return what the two do not agree on; None if they do."""
    if verdict.stage is Stage.TEXT:
        return None  # nested too deep to be read: the operator says so, the API server what is wrong there
    if answer.accepted:
        unsaid = verdict.of_the_server
        return f"the API server accepts, but validate says: {unsaid}" if unsaid else None
    if answer.status != 422:
        return f"the API server answers {answer.status}: {answer.message}"
    wrong = list(_policy(verdict, answer.message) if DENIED in answer.message else _schema(verdict, answer.causes))
    return "; ".join(wrong) or None


def _schema(verdict: Verdict, causes: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield what the definition says and validate does not."""
    paths = [each.partition(": ")[0] for each in verdict.problems]
    for field, message in causes:
        if UNCHECKED in message or FRACTION.search(message):
            continue
        if OWN_WORDS.search(message):
            between = message.startswith("Duplicate value") or field.startswith(EXCLUSION)
            later = between and verdict.stage < Stage.CLUSTER  # to validate a rule between fields
            if not later and not any(_near(path, field) for path in paths):
                yield f"only the API server finds fault with {field}: {message}"
        elif not any(_says(field, message, each) for each in verdict.problems) and not _later(verdict, message):
            yield f"only the API server says of {field}: {message}"


def _policy(verdict: Verdict, message: str) -> Iterator[str]:
    """Yield what either of policy and validate says and the other does not."""
    told = spelled(message.split(DENIED, 1)[1])
    cut = told.endswith(CUT)
    rest = told
    for sentence in sorted(verdict.problems, key=len, reverse=True):
        spoken = _spoken(spelled(sentence), rest)
        if spoken is not None:
            rest = rest.replace(spoken, "")  # the policy says once for each data set what validate says once
        elif not cut and sentence in verdict.of_the_server:
            yield f"only validate says: {sentence}"
    more = [part for part in rest.split("; spec.") if part.strip("; ")]
    if not cut and not all(_later(verdict, part) for part in more):
        yield f"only the policy says: {rest}"


def _later(verdict: Verdict, message: str) -> bool:
    """Whether validate tells something of this kind only once what it tells now is right."""
    if OF_A_CLUSTER.search(message) or NOT_BUILT in message:
        return verdict.stage < Stage.CLUSTER
    return verdict.stage is Stage.FIELDS and not OF_ONE_FIELD.search(message)


def _spoken(sentence: str, told: str) -> str | None:
    """Return the part of what is told that says the same; CEL cannot guess which word was meant."""
    if sentence in told:
        return sentence
    guess = GUESS.match(sentence)
    if guess is None:
        return None
    head = f"{guess['path']}: found {guess['found']}; write " if guess["found"] else f"{guess['path']}: is not a field"
    at = told.find(head)
    if at < 0:
        return None
    end = told.find("; spec.", at)
    return told[at : len(told) if end < 0 else end]


def spelled(text: str) -> str:
    """Return a sentence with its numbers and letters spelled one way: CEL writes 2e+09, -0 and no \\u0000."""
    text = text.replace("spec.data[0].", "spec.data.")  # validate says of a list of one what it says of its one
    text = ESCAPED.sub(lambda escape: ESCAPES.get(escape[1]) or chr(int(escape[1][1:], 16)), text)
    return NUMBER.sub(lambda number: repr(float(number.group().replace(",", "")) + 0.0), text)


def _says(field: str, message: str, sentence: str) -> bool:
    """Whether a cause is the sentence: its path stands before it, written by the API server."""
    path, _, rest = sentence.partition(": ")
    found, field = spelled(message), MAP_KEY.sub(r".\1", field)
    return (path == field and found.endswith(f": {spelled(rest)}")) or found.endswith(f": {spelled(sentence)}")


def _near(path: str, field: str) -> bool:
    """Whether one of two paths leads to the other."""
    return path == field or path.startswith((f"{field}.", f"{field}[")) or field.startswith((f"{path}.", f"{path}["))
