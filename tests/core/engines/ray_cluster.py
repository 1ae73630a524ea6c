"""Runs a Ray cluster of this machine for tests until its stdin ends, and prints its address."""

import contextlib
import logging
import sys

import ray

STARTS = 4  # On a busy machine Ray's own processes may be late for each other.


def main() -> None:
    for attempt in range(STARTS):
        try:
            ray.init(
                "local",
                num_cpus=2,
                object_store_memory=80 << 20,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            break
        except Exception:
            ray.shutdown()
            if attempt == STARTS - 1:
                raise
    print(ray.get_runtime_context().gcs_address, flush=True)
    # What Ray says of workers that end is not for the tests.
    with contextlib.redirect_stdout(None):
        sys.stdin.read()
        ray.shutdown()


if __name__ == "__main__":
    main()
