"""Waits until Prefect's API answers: a worker that comes up before it takes no flow run for its first minute."""

import os
import time
import urllib.error
import urllib.request

url = os.environ["PREFECT_API_URL"].rstrip("/") + "/health"
while True:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        break  # it answers; whether it lets us in is the worker's matter
    except OSError as error:
        print(f"waiting for {url}: {error}", flush=True)
        time.sleep(1)
    else:
        break
