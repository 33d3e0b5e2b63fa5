"""What every client library is put through, for the Python libraries; the drivers of other languages do the same.

A driver is a program: DRIVER LIBRARY PROTOCOL HOST PORT PREFIX [USER PASSWORD]. It prints one line a check,

    pass NAME | fail NAME what was seen | lack NAME why the library cannot

and test_matrix.py wants each name of checks.py once. A library that has no such operation lacks it; one that has it and
answers wrongly fails. Every key begins with PREFIX.

An adapter here turns a library into: set add replace append prepend delete touch flush -> bool, get -> bytes or None,
gets -> (bytes, token), cas(key, value, token) -> bool, incr decr -> int or None, get_many -> dict, stats -> dict of str.
What it does not define, or lists in LACKS with the reason, is lacking.
"""
import time
import traceback

from checks import CHECKS

BLOB = bytes(range(256)) * 4
LARGE = bytes(range(1, 251)) * 2000
EXPIRY_DEADLINE_S = 60
LIFE_S = 2  # one second may be over at once: they end where the server's clock ticks


class Differs(Exception):
    """A check did not see what it wants."""


def want(seen, expected):
    if seen != expected:
        raise Differs(f"{seen!r:.100} instead of {expected!r:.100}")


class Scenario:
    """The checks over one adapter; `other` is a second connection, for the one who comes in between."""

    def __init__(self, adapter, other, prefix):
        self.client, self.other, self.prefix = adapter, other, prefix

    def key(self, name):
        return self.prefix + name

    def set_then_get(self):
        want(self.client.set(self.key("blob"), BLOB), True)
        want(self.client.get(self.key("blob")), BLOB)

    def get_absent(self):
        want(self.client.get(self.key("absent")), None)

    def add_absent(self):
        want(self.client.add(self.key("add"), b"one"), True)
        want(self.client.get(self.key("add")), b"one")

    def add_present(self):
        want(self.client.add(self.key("add"), b"two"), False)
        want(self.client.get(self.key("add")), b"one")

    def replace_present(self):
        want(self.client.replace(self.key("add"), b"three"), True)
        want(self.client.get(self.key("add")), b"three")

    def replace_absent(self):
        want(self.client.replace(self.key("absent"), b"no"), False)
        want(self.client.get(self.key("absent")), None)

    def append(self):
        self.client.set(self.key("ends"), b"mid")
        want(self.client.append(self.key("ends"), b">"), True)
        want(self.client.get(self.key("ends")), b"mid>")

    def prepend(self):
        want(self.client.prepend(self.key("ends"), b"<"), True)
        want(self.client.get(self.key("ends")), b"<mid>")

    def append_absent(self):
        want(self.client.append(self.key("absent"), b">"), False)

    def cas_fresh(self):
        self.client.set(self.key("cas"), b"one")
        value, token = self.client.gets(self.key("cas"))
        want(value, b"one")
        want(self.client.cas(self.key("cas"), b"two", token), True)
        want(self.client.get(self.key("cas")), b"two")

    def cas_stale(self):
        _, token = self.client.gets(self.key("cas"))
        self.other.set(self.key("cas"), b"between")
        want(self.client.cas(self.key("cas"), b"late", token), False)
        want(self.client.get(self.key("cas")), b"between")

    def incr(self):
        self.client.set(self.key("count"), b"10")
        want(self.client.incr(self.key("count"), 5), 15)

    def decr(self):
        want(self.client.decr(self.key("count"), 6), 9)

    def decr_below_zero(self):
        want(self.client.decr(self.key("count"), 100), 0)

    def incr_absent(self):
        want(self.client.incr(self.key("absent"), 1), None)

    def touch_present(self):
        self.client.set(self.key("touched"), b"x", LIFE_S)
        want(self.client.touch(self.key("touched"), 100), True)

    def touch_absent(self):
        want(self.client.touch(self.key("absent"), 100), False)

    def multiget_100(self):
        values = {self.key(f"many{i}"): b"%d" % i * (i + 1) for i in range(100)}
        for key, value in values.items():
            want(self.client.set(key, value), True)
        want(self.client.get_many([self.key("absent"), *values]), values)

    def delete_present(self):
        self.client.set(self.key("gone"), b"x")
        want(self.client.delete(self.key("gone")), True)
        want(self.client.get(self.key("gone")), None)

    def delete_absent(self):
        want(self.client.delete(self.key("absent")), False)

    def expiry(self):
        want(self.client.set(self.key("short"), b"x", LIFE_S), True)
        end = time.monotonic() + EXPIRY_DEADLINE_S
        while self.client.get(self.key("short")) is not None:
            if time.monotonic() > end:
                raise Differs("still there")
            time.sleep(0.05)
        if hasattr(self.client, "touch"):
            want(self.client.get(self.key("touched")), b"x")

    def large_value(self):
        want(self.client.set(self.key("large"), LARGE), True)
        want(self.client.get(self.key("large")), LARGE)

    def stats(self):
        figures = self.client.stats()
        want(int(figures["curr_items"]) > 0, True)
        want(int(figures["cmd_get"]) > 0, True)

    def flush(self):
        want(self.client.flush(), True)
        want(self.client.get(self.key("blob")), None)
        want(self.client.set(self.key("blob"), b"after"), True)
        want(self.client.get(self.key("blob")), b"after")

    def play(self):
        lacks = getattr(self.client, "LACKS", {})
        for name, operation in CHECKS.items():
            if name in lacks:
                print(f"lack {name} {lacks[name]}", flush=True)
            elif not hasattr(self.client, operation):
                print(f"lack {name} has no {operation}", flush=True)
            else:
                self.play_one(name)

    def play_one(self, name):
        try:
            getattr(self, name)()
            print(f"pass {name}", flush=True)
        except Exception:  # pylint: disable=broad-except
            print(f"fail {name} {traceback.format_exc().strip().splitlines()[-1]}", flush=True)
