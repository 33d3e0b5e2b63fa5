"""The store without packets: gets one by one, and in batches whose lines are prefetched; by tests/bench/store_bench.c."""
import json

from benchlib import machine

ITEM_BYTES = 104  # of store_bench: header, 20-byte key, 64-byte value, its part of the index
ROOM = 1.35  # memory of a store, for the items that shall fit
SECONDS = 0.5  # a figure
UNTIL_ENDED_S = 300
BATCH = 32


class Figures:
    """Gets a second of one round."""

    valid, about, windows = True, "", {"len": 0, "kept": 0}

    def __init__(self, rate):
        self.rate = rate


def memory_mib(items):
    return max(64, int(items * ITEM_BYTES * ROOM) >> 20)


def gets(build, items, rounds):
    """Of each round: figures by batch size. One process; it is filled once."""
    command = ["taskset", "-c", machine.FAR_CPU, f"{build}/bench/store_bench", memory_mib(items), items, 1, SECONDS, rounds]
    status, out, errors = machine.run(command, UNTIL_ENDED_S)
    if status != 0:
        machine.fail(f"store_bench ended with {status}: {errors}")
    cells = [json.loads(line) for line in out.splitlines()]
    by_batch = [[Figures(cell["mops"] * 1e6) for cell in cells if cell["batch"] == batch] for batch in (1, BATCH)]
    return [{1: one, BATCH: batched} for one, batched in zip(*by_batch)]
