"""The node's object storage: MinIO on the node's address, with keys made for each start."""

from __future__ import annotations

import json
import secrets
import sys
from typing import TYPE_CHECKING

from tests.cluster.credentials import write_secret
from tests.cluster.node.network import ADDRESS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.node.enclosure import Enclosure

ENDPOINT = f"http://{ADDRESS}:9000"
BUCKET = "backsweep"
MAKE_BUCKET = f"import boto3; boto3.client('s3').create_bucket(Bucket={BUCKET!r})"


def write_storage_keys(folder: Path) -> None:
    """Write what every client of S3 takes from its environment."""
    environment = {
        "AWS_ENDPOINT_URL_S3": ENDPOINT,
        "AWS_ACCESS_KEY_ID": secrets.token_hex(10),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    write_secret(folder / "storage.json", json.dumps(environment, indent=1))


def storage_environment(folder: Path) -> dict[str, str]:
    """Read what `write_storage_keys` wrote."""
    found: dict[str, str] = json.loads((folder / "storage.json").read_text(encoding="utf-8"))
    return found


def server_environment(folder: Path) -> dict[str, str]:
    """Return what MinIO takes from its environment."""
    keys = storage_environment(folder)
    return {
        "MINIO_ROOT_USER": keys["AWS_ACCESS_KEY_ID"],
        "MINIO_ROOT_PASSWORD": keys["AWS_SECRET_ACCESS_KEY"],
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }


def make_bucket(enclosure: Enclosure) -> None:
    """Make the bucket tests share, each below a prefix of its own."""
    enclosure.run(sys.executable, "-c", MAKE_BUCKET, environment=storage_environment(enclosure.folder))
