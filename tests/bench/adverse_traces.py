#!/usr/bin/python3
"""Writes request traces that are meant to mislead a cache, one for each weakness one may suspect; seeded.

usage: tests/bench/adverse_traces.py DIRECTORY

Sized for a cache of 64 MB. The format is that of the other traces: time,key,key_size,value_size,op,ttl.
"""
import bisect
import pathlib
import random
import sys

ROWS = 500_000
HEADER = "time,key,key_size,value_size,op,ttl\n"


def zipf_picker(rand, keys, skew):
    """Draws 0..keys-1, low numbers more often."""
    sums, total = [], 0.0
    for i in range(keys):
        total += 1 / (i + 1) ** skew
        sums.append(total)
    return lambda: bisect.bisect_left(sums, rand.random() * total)


def size_of(key, median, spread):
    """A size that belongs to the key, lognormal."""
    return max(1, min(900_000, int(random.Random(key).lognormvariate(0, spread) * median)))


def scan(rand):
    """Half of the requests are a hot set, the other half a scan of what is never asked for again."""
    pick = zipf_picker(rand, 90_000, 0.8)
    for i in range(ROWS):
        yield ("h%d" % pick(), 1000) if i % 2 else ("s%d" % i, 1000)


def loop(rand):
    """Round and round over a quarter more than fits."""
    for i in range(ROWS):
        yield "l%d" % (i % 80_000), 950


def shift(rand):
    """What was stored last is asked for most, whatever its size, and never again after a while."""
    for i in range(ROWS):
        key = i // 4 - int(rand.expovariate(1 / 12_000.0))
        yield "r%d" % max(key, 0), size_of(key, 900, 1.2)


def turn(rand):
    """First many small hot items, then only large ones, then small ones again."""
    small, large = zipf_picker(rand, 400_000, 0.7), zipf_picker(rand, 12_000, 0.7)
    for i in range(ROWS):
        if ROWS // 3 <= i < 2 * ROWS // 3:
            yield "L%d" % large(), 8000
        else:
            yield "S%d" % small(), 100


def large(rand):
    """A few large objects are hot, among many small ones of which hardly any comes back."""
    pick = zipf_picker(rand, 400, 0.6)
    for i in range(ROWS):
        if i % 10 == 0:
            yield "L%d" % pick(), 200_000
        else:
            yield "S%d" % rand.randrange(600_000), 300


def churn(rand):
    """Hot keys are overwritten with other sizes all the time."""
    pick = zipf_picker(rand, 60_000, 0.9)
    for _ in range(ROWS):
        yield "c%d" % pick(), rand.randrange(100, 3000), "set" if rand.random() < 0.3 else "get"


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for make in (scan, loop, shift, turn, large, churn):
        rand = random.Random(make.__name__)
        with open(directory / f"{make.__name__}.csv", "w", encoding="ascii") as out:
            out.write(HEADER)
            for i, (key, value_bytes, *op) in enumerate(make(rand)):
                out.write(f"{i // 1000},{key},24,{value_bytes},{op[0] if op else 'get'},0\n")


if __name__ == "__main__":
    main()
