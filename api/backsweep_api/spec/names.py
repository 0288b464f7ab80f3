"""Words and bounds that several parts of the document use."""

from __future__ import annotations

from typing import Annotated

from backsweep_api.spec.checks import Number, Text, Whole

__all__ = [
    "LabelText",
    "Namespace",
    "ObjectName",
    "ParameterName",
    "Quantity",
    "Rows",
    "ShortText",
    "Symbol",
    "TableUri",
    "Weight",
]

LONGEST_NAME = 40

ObjectName = Annotated[
    str,
    Text(
        r"[a-z]([-a-z0-9]*[a-z0-9])?",
        LONGEST_NAME,
        f"a name of up to {LONGEST_NAME} lower-case letters, digits and dashes, a letter first and no dash last",
    ),
]
Namespace = Annotated[
    str, Text(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", 63, "a namespace of up to 63 lower-case letters, digits and dashes")
]
LabelText = Annotated[
    str, Text(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?", 63, "up to 63 letters, digits, dashes, dots and underscores")
]
ParameterName = Annotated[
    str, Text(r"[A-Za-z_][A-Za-z0-9_]*", 63, "a parameter's name: letters, digits and underscores")
]
ShortText = Annotated[str, Text(r"[^\x00-\x1f\x7f]+", 200, "a text of 1 to 200 characters on one line")]
Symbol = Annotated[str, Text(r"[^\x00-\x1f\x7f]+", 64, "a symbol of 1 to 64 characters")]
TableUri = Annotated[
    str,
    Text(
        r"(file|s3|https)://[^\s\x00-\x1f\x7f]+|store://[a-z0-9][-a-z0-9._]{0,62}(@[0-9a-f]{8,64})?",
        1000,
        "a URI that begins with file://, s3:// or https:// (file://prices.csv stands beside the document), or "
        "store://NAME or store://NAME@version for a data set of the store",
    ),
]
Quantity = Annotated[
    str, Text(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", 20, 'a Kubernetes quantity such as "2", "500m" or "4Gi"')
]
Rows = Annotated[int, Whole(1, 100_000, "rows")]
Weight = Annotated[float, Number(-10, 10, "weight as a fraction of wealth")]
