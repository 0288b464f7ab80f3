"""The inverse of a large covariance: tiled against LAPACK and numpy, time, residual and memory a process."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import run_tree
from tests.benchmarks.timing import markdown_table, publish

ORDERS = (2048, 4096, 8192)
LIMIT_MIB = 256
WAYS = {
    "numpy": "numpy.linalg.inv",
    "lapack": "LAPACK potrf + potri, in place",
    "memory": "tiled, one process, tiles in memory",
    "disk": "tiled, one process, 64 MiB of tiles in memory",
    "ray": "tiled, Ray, 2 workers",
}
TITLES = ["way", "seconds", "CPU seconds", "residual", "MiB a process"]


def child(*arguments: str) -> tuple[float, dict[str, Any]]:
    """Run one way in a process of its own; return the processor seconds of all of it, and its answer."""
    tree, text = run_tree([sys.executable, "-m", "tests.benchmarks.inversion", *arguments])
    answer: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return sum(tree.cpu_seconds.values()), answer


def measure(way: str, source: Path, limit_mib: int) -> list[str]:
    """Return a row of the table."""
    target = source.with_name("inverse.npy")
    target.unlink(missing_ok=True)
    cpu_seconds, answer = child(way, str(source), str(target), str(limit_mib))
    if "failed" in answer:
        return [WAYS[way], answer["failed"], "", "", ""]
    residual = child("check", str(source), str(target))[1]["residual"]
    return [
        WAYS[way],
        f"{answer['seconds']:.1f}",
        f"{cpu_seconds:.1f}",
        f"{residual:.1e}",
        f"{answer['peak_mib']:.0f}",
    ]


def main() -> None:
    """Measure each order, and the largest of them again with limited memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, nargs="+", default=list(ORDERS))
    parser.add_argument("--folder", default=None, help="where the matrices lie while they are measured")
    options = parser.parse_args()
    paragraphs = ["## Inverse of a large covariance"]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = Path(folder) / "matrix.npy"
        for order in options.orders:
            child("make", str(source), str(order))
            rows = [measure(way, source, 0) for way in WAYS]
            paragraphs.append(f"### {order:,} x {order:,} ({order * order * 8 / 2**20:.0f} MiB)")
            paragraphs.append(markdown_table(TITLES, rows))
        rows = [measure(way, source, LIMIT_MIB) for way in WAYS]
        paragraphs.append(f"### The last, each process limited to {LIMIT_MIB} MiB beyond its imports")
        paragraphs.append(markdown_table(TITLES, rows))
    paragraphs.append(
        "Seconds: from a file to a file, without imports and the start of Ray. CPU: of the whole process and of all "
        "that it started, imports and the start of Ray included. Residual: Frobenius norm of AX - 1 over the root of "
        "the order. MiB: the most private memory of any one process (of the driver and the workers for Ray; its object "
        "store is shared and not in it), the imports' own included."
    )
    publish("linalg", *paragraphs)


if __name__ == "__main__":
    main()
