"""Commands of the text protocol: mostly right, some wrong in one place."""
from grammar import (BASE64_KEYS, DELTAS, DELTAS_DOWN, DELTAS_WRONG, EXPTIMES, EXPTIMES_WRONG, FLAGS, FLAGS_WRONG, ITEM_EDGES,
                     KEY_TOO_LONG, KEYS, Command, key_of, mostly, pick_counted_key, pick_key, pick_value)

STORE = [b"set"] * 6 + [b"add", b"replace", b"append", b"append", b"prepend", b"cas", b"cas"]
WRONG_WORDS = [b"SET", b"gett", b"nonsense", b"foo bar", b"VALUE a 0 0", b"stored"]


def noreply(rng):
    return b" noreply" if rng.random() < 0.1 else b""


def storage(rng):
    key = pick_key(rng)
    verb = rng.choice([verb for verb in STORE if key not in BASE64_KEYS or verb not in (b"append", b"prepend")])
    value = pick_value(rng, key)
    flags = mostly(rng, FLAGS, FLAGS_WRONG, 0.005)
    exptime = mostly(rng, EXPTIMES, EXPTIMES_WRONG, 0.005)
    name = "storage"
    if flags in FLAGS_WRONG or exptime in EXPTIMES_WRONG:
        name = "storage, wrong number"
    head = b"%s %s %s %s %d" % (verb, key, flags, exptime, len(value))
    tail = noreply(rng) + b"\r\n" + value + b"\r\n"
    if verb != b"cas":
        return Command(name, (head, tail), [key])
    token = ("cas", key) if rng.random() < 0.8 else rng.choice([b"0", b"999999999999", b"18446744073709551615"])
    return Command(name, (head, b" ", token, tail), [key])


def storage_broken(rng):
    """The length is not the data's, the line's end is wrong, the key is too long."""
    verb, key = rng.choice([b"set", b"add", b"replace", b"append"]), pick_counted_key(rng)
    roll = rng.random()
    if roll < 0.35:  # longer than said: the rest is taken for a command
        return Command("storage, long data", (b"%s %s 0 0 3\r\nabcdefghijklmnop\r\n" % (verb, key),), [key])
    if roll < 0.7:  # shorter than said: the next command's head is taken for data
        eaten = rng.choice([1, 2, 4, 5])
        return Command("storage, short data", (b"%s %s 0 0 %d\r\nabc\r\nget %s\r\n" %
                                               (verb, key, 3 + eaten, key_of(b"eaten")),), [key])
    if roll < 0.85:
        return Command("storage, wrong length", (b"%s %s 0 0 %s\r\n" % (
            verb, key, rng.choice([b"-1", b"abc", b"2147483647", b"4294967295"])),), [key])
    if roll < 0.9:
        return Command("storage, key too long", (b"%s %s 0 0 5\r\nhello\r\n" % (verb, KEY_TOO_LONG),), [])
    if roll < 0.95:
        return Command("storage, plus sign", (b"%s %s 0 0 +1\r\nx\r\n" % (verb, key),), [key])
    return Command("storage, large", (b"%s %s 0 0 %d\r\n" % (verb, key, size := rng.choice(ITEM_EDGES)),
                                      b"y" * size, b"\r\n"), [key])


def fetch(rng):
    verb = rng.choice([b"get", b"get", b"gets", b"gets", b"gat", b"gats"])
    keys = [pick_key(rng) for _ in range(1 if rng.random() < 0.6 else rng.randrange(1, 40))]
    if rng.random() < 0.005:
        return Command("get, key too long", (verb, b" 100 " if verb[:2] == b"ga" else b" ", keys[0], b" ", KEY_TOO_LONG,
                                             b"\r\n"), keys)
    exptime = b" " + mostly(rng, EXPTIMES, EXPTIMES_WRONG, 0.03) if verb in (b"gat", b"gats") else b""
    spaces = rng.choice([b" ", b" ", b" ", b"  "])
    return Command("fetch", (verb, exptime, b" ", spaces.join(keys), rng.choice([b"", b"", b" "]), b"\r\n"), keys)


def number(rng):
    key = pick_counted_key(rng)
    verb, deltas = rng.choice([(b"incr", DELTAS), (b"decr", DELTAS_DOWN)])
    return Command("number", (b"%s %s %s%s\r\n" % (verb, key, mostly(rng, deltas, DELTAS_WRONG), noreply(rng)),), [key])


def remove(rng):
    key = pick_key(rng)
    return Command("delete", (b"delete %s%s%s\r\n" % (key, rng.choice([b"", b"", b" 0"]), noreply(rng)),), [key])


def touch(rng):
    key = pick_key(rng)
    return Command("touch", (b"touch %s %s%s\r\n" % (key, mostly(rng, EXPTIMES, EXPTIMES_WRONG), noreply(rng)),), [key])


def other(rng):
    roll = rng.random()
    if roll < 0.3:
        return Command("version", (b"version%s\r\n" % rng.choice([b"", b" x", b" noreply"]),), [])
    if roll < 0.5:
        return Command("verbosity", (b"verbosity %s\r\n" % rng.choice([b"0", b"1 noreply", b"0 x"]),), [])
    if roll < 0.6:
        return Command("flush", (b"flush_all%s\r\n" % rng.choice([b"", b" noreply", b" 0", b" -1", b" abc", b" 0 noreply"]),),
                       KEYS)
    if roll < 0.7:
        return Command("mn", (b"mn\r\n",), [])
    return Command("unknown", (rng.choice(WRONG_WORDS), b"\r\n"), [])


def wrong_count(rng):
    key = pick_key(rng)
    roll = rng.random()
    if roll < 0.3:
        return Command("short line", (rng.choice([b"\r\n", b"\n", b"x\r\n", b"a\n"]),), [])
    if roll < 0.4:
        return Command("leading space", (b" get %s\r\n" % key,), [])
    if roll < 0.5:
        return Command("delete, second argument", (b"delete %s %s\r\n" % (key, rng.choice([b"1", b"x", b"0 0"])),), [key])
    if roll < 0.6:
        return Command("more arguments", (b"%s %s 1 2 3\r\n" % (rng.choice([b"incr", b"decr", b"touch"]), key),), [key])
    if roll < 0.65:
        return Command("gat without key", (b"gat 10\r\n",), [])
    if roll < 0.7:
        return Command("shutdown", (b"shutdown\r\n",), [])
    return Command("wrong count", (rng.choice([
        b"get\r\n", b"gets\r\n", b"gat\r\n", b"set\r\n", b"set %s\r\n" % key, b"set %s 0 0\r\n" % key,
        b"cas %s 0 0\r\n" % key, b"incr %s\r\n" % key, b"incr\r\n", b"touch %s\r\n" % key, b"delete\r\n",
        b"verbosity\r\n"]),), [key])


WEIGHTS = [(storage, 38), (fetch, 30), (number, 14), (remove, 5), (touch, 5), (other, 4), (storage_broken, 2.5),
           (wrong_count, 1.5)]


def command(rng):
    makers, weights = zip(*WEIGHTS)
    return rng.choices(makers, weights)[0](rng)


def ending(rng):
    """What may come last on a connection, since nothing after it is answered."""
    return rng.choice([None, None, None, Command("quit", (b"quit\r\n",), []),
                       Command("unfinished", (b"get %s" % KEYS[0],), []),
                       Command("endless line", (b"x" * 40000,), [])])
