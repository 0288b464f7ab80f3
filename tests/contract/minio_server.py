"""A real MinIO on loopback, where its binary is: see `minio_binary` in conftest."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3
from tests.contract.s3_server import ACCESS_KEY, SECRET_KEY


class MinioServer:
    """MinIO with its data in a folder, which can be killed and started again at the same address."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{self._address}"
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": "us-east-1"}
        self.client: Any = boto3.session.Session(**keys).client("s3", endpoint_url=self.url)

    def start(self) -> None:
        keys = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
        environment = {**os.environ, **keys, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}
        command = [self._binary, "server", str(self._folder), "--address", self._address, "--quiet"]
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, "MinIO ended"
            assert time.monotonic() < deadline, "MinIO does not answer"
            time.sleep(0.1)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            self.client.list_buckets()
        except Exception:
            return False
        return True
