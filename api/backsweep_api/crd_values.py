"""Single values in CEL: when one is right, how it is shown, and the sentence that refuses it, as `spec.checks` says it.

CEL is written for two places. In the CRD a rule sees typed values (`self`). In the admission policy it sees the whole
object without types, where a field may be a name or a mapping.
"""

from __future__ import annotations

import json

from backsweep_api.spec.checks import Check, Day, Money, Number, OneOf, RowsOrDay, Scalar, Text, Whole

__all__ = ["DAY", "ON_ONE_LINE", "good", "listed", "quoted", "refusal", "shown"]

ON_ONE_LINE = ".replace('\\n', '\\\\n')"  # the API server passes over a message of several lines
LONGEST_SHOWN = 58  # a longer text is cut as `spec.checks.found` cuts it
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
MONEY = r"^[0-9]{1,12}([.][0-9]{1,12})?$"


def quoted(text: str) -> str:
    """Return `text` as a CEL string."""
    return json.dumps(text, ensure_ascii=True)


def listed(words: tuple[str, ...] | list[str]) -> str:
    """Return words as a CEL list of strings."""
    return "[" + ", ".join(quoted(word) for word in words) + "]"


def good(check: Check, value: str) -> str | None:
    """Return the CEL that says whether `value` (CEL, of the right type) is what `check` wants; None if its type does.

    What a schema's enum tells is left to it.
    """
    if isinstance(check, Whole):
        return f"{value} >= {check.low} && {value} <= {check.high}"
    if isinstance(check, Number):
        least = ">" if check.above else ">="
        return f"{value} {least} {_double(check.low)} && {value} <= {_double(check.high)}"
    if isinstance(check, Text):
        return f"{value}.matches(r'^(?:{check.pattern})$') && {value}.size() <= {check.longest}"
    if isinstance(check, Money):
        return f"{value}.matches(r'{MONEY}') && double({value}) <= {_double(check.high)}"
    if isinstance(check, Day):
        return _day(value)
    if isinstance(check, RowsOrDay):
        rows = good(check.rows, value)
        return f"(type({value}) == string ? {_day(value)} : {rows})"
    return None


def shown(check: Check, value: str) -> str:
    """Return the CEL text that shows a wrong `value` of the type that `check` wants."""
    text = f"'\"' + {value} + '\"'"
    if isinstance(check, OneOf | RowsOrDay | Scalar) or (isinstance(check, Text) and check.longest > LONGEST_SHOWN):
        cut = f"'\"' + {value}.substring(0, {LONGEST_SHOWN - 3}) + '...\"'"
        text = f"({value}.size() > {LONGEST_SHOWN} ? {cut} : {text})"
    if isinstance(check, Text | Money | Day | OneOf):
        return f"{text}{ON_ONE_LINE}" if text.startswith("(") else f"({text}){ON_ONE_LINE}"
    if isinstance(check, RowsOrDay | Scalar):
        return f"(type({value}) == string ? {text} : string({value}))"
    # dyn: the cost of a number as text is unbounded to CEL, of anything as text it is not.
    return f"string(dyn({value}))"


def refusal(check: Check, value: str) -> str:
    """Return the CEL text that refuses a wrong `value`: "found 0; write a whole number of rows from 1 to 100,000"."""
    return f"'found ' + {shown(check, value)} + {quoted(f'; write {check.right}')}"


def _double(number: float) -> str:
    """Return a number as a CEL double, which an int is not."""
    return repr(float(number))


def _day(value: str) -> str:
    """Return the CEL that says whether a text is a calendar day."""
    return f"({value}.matches(r'{DAY}') && !format.date().validate({value}).hasValue())"
