"""`python visitor.py URL basic|bearer [METHOD:]PATH...`: wait until URL answers, then print what each path gives.

Each is asked for twice, without a password and with the one in PASSWORD: pairs of status and text, as JSON.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request

SECONDS_TO_ANSWER = 60.0


def ask(url: str, method: str, headers: dict[str, str]) -> tuple[int, str]:
    """Return status and text; a refusal is an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def await_answer(url: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while True:
        try:
            ask(url, "GET", {})
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def main(url: str, scheme: str, *paths: str) -> None:
    password = os.environ["PASSWORD"]
    given = f"Basic {base64.b64encode(password.encode()).decode()}" if scheme == "basic" else f"Bearer {password}"
    await_answer(url)
    found = {}
    for each in paths:
        method, _, path = each.rpartition(":")
        found[path] = [ask(url + path, method or "GET", headers) for headers in ({}, {"Authorization": given})]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
