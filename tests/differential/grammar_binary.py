"""Commands of the binary protocol: every opcode, quiet and not, mostly right. Replies are told apart by their opaque.

It has its own reply format, so it brings its own parse().
"""
import struct

from grammar import KEYS, PREFIX, Command, pick_value
from replies import Reply

HEADER = struct.Struct(">BBHBBHIIQ")
SETS = [0x01, 0x02, 0x03, 0x11, 0x12, 0x13]
JOINS = [0x0E, 0x0F, 0x19, 0x1A]
GETS = [0x00, 0x09, 0x0C, 0x0D]
GATS = [0x1D, 0x1E, 0x23, 0x24]
COUNTS = [0x05, 0x06, 0x15, 0x16]
DELETES = [0x04, 0x14]
EXPTIMES = [0, 0, 0, 0, 100, 3600, 2592000, 2592001, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF]
DELTAS = [0, 1, 9, 10, 99, 2**32]
DELTAS_DOWN = DELTAS + [2**63, 2**64 - 1]
# Only these are counted with, and only these hold blank values: see grammar.py.
COUNTED, OTHERS = KEYS[:3], KEYS[3:]


def packet(rng, opcode, key=b"", extras=b"", value=b"", cas=0):
    """The parts of a request; the body's length is the same for every prefix."""
    head = struct.pack(">BBHBBHII", 0x80, opcode, len(key), len(extras), rng.choice([0, 0, 0, 1]), rng.choice([0, 0, 0, 7]),
                       len(key) + len(extras) + len(value), rng.getrandbits(32))
    return head, cas if isinstance(cas, tuple) else struct.pack(">Q", cas), extras + key + value


def pick_key(rng):
    return rng.choice(COUNTED) if rng.random() < 0.6 else rng.choice(OTHERS)


def value_for(rng, key):
    return pick_value(rng, KEYS[-1] if key in OTHERS else key)


def some_cas(rng, key):
    return rng.choice([0] * 6 + [("cas64", key)] * 2 + [999999999999])


def store(rng):
    key = pick_key(rng)
    value = value_for(rng, key)
    flags = rng.choice([0, 1, 0xFFFF, 0xFFFFFFFF])
    return Command("store", packet(rng, rng.choice(SETS), key, struct.pack(">II", flags, rng.choice(EXPTIMES)), value,
                                   some_cas(rng, key)), [key])


def join(rng):
    key = pick_key(rng)
    return Command("join", packet(rng, rng.choice(JOINS), key, b"", value_for(rng, key) or b"7", some_cas(rng, key)), [key])


def fetch(rng):
    key = pick_key(rng)
    return Command("fetch", packet(rng, rng.choice(GETS + [0x0C] * 3), key), [key])


def fetch_and_touch(rng):
    key = pick_key(rng)
    return Command("fetch", packet(rng, rng.choice(GATS), key, struct.pack(">I", rng.choice(EXPTIMES))), [key])


def touch(rng):
    key = pick_key(rng)
    return Command("touch", packet(rng, 0x1C, key, struct.pack(">I", rng.choice(EXPTIMES))), [key])


def count(rng):
    key = rng.choice(COUNTED)
    opcode, expire = rng.choice(COUNTS), rng.choice([0xFFFFFFFF] * 3 + [0, 100])
    delta = rng.choice(DELTAS if opcode in (0x05, 0x15) else DELTAS_DOWN)
    return Command("number", packet(rng, opcode, key, struct.pack(">QQI", delta, rng.choice(DELTAS), expire), b"",
                                    some_cas(rng, key)), [key])


def delete(rng):
    key = pick_key(rng)
    return Command("delete", packet(rng, rng.choice(DELETES), key, b"", b"", some_cas(rng, key)), [key])


def other(rng):
    return Command("other", packet(rng, rng.choice([0x0A, 0x0A, 0x0A, 0x0B])), [])


def unknown(rng):
    """Opcodes that nobody has; they keep the connection."""
    return Command("unknown opcode", packet(rng, rng.choice([0x1B, 0x25, 0x30, 0x40, 0x7F, 0x90, 0xFF])), [])


def flush(rng):
    return Command("other", packet(rng, rng.choice([0x08, 0x18]), b"", rng.choice([b"", bytes(4)])), [])


def contradiction(rng):
    """Lengths that contradict each other, with the key and extras that they announce: memcached waits for these."""
    opcode = rng.choice(SETS + JOINS + COUNTS + DELETES + [0x00, 0x09, 0x1C, 0x1D, 0x08, 0x0A, 0x0B])
    key_len, extras_len = rng.choice([(1, 0), (1, 4), (1, 8), (1, 20), (5, 0), (5, 8), (251, 0), (251, 8), (300, 8), (5, 4)])
    head = struct.pack(">BBHBBHII", 0x80, opcode, key_len, extras_len, 0, 0, key_len + extras_len - 1, rng.getrandbits(32))
    return head, bytes(8), b"a" * (key_len + extras_len)


def wrong_shape(rng):
    """Refused and closed. What was not sent by then is lost in memcached, so it stands alone."""
    key = pick_key(rng)
    if rng.random() < 0.4:
        return Command("wrong shape", contradiction(rng), [])
    return Command("wrong shape", rng.choice([
        packet(rng, 0x00), packet(rng, 0x00, key, b"1234"), packet(rng, 0x00, key, b"", b"x"),
        packet(rng, 0x01, key, b"", b"x"), packet(rng, 0x01, b"", b"12345678", b"x"), packet(rng, 0x0E, key, b"12345678", b"x"),
        packet(rng, 0x05, key, b"1234"), packet(rng, 0x04, key, b"1234"), packet(rng, 0x0A, key), packet(rng, 0x0B, b"", b"1"),
        packet(rng, 0x1C, key), packet(rng, 0x00, PREFIX + b"k" * 242), packet(rng, 0x08, b"", b"12"),
        (b"\x81" + bytes(23),), (b"get a\r\n" + bytes(20),)]), [key])


WEIGHTS = [(store, 34), (fetch, 24), (count, 14), (join, 8), (fetch_and_touch, 6), (touch, 4), (delete, 5), (other, 3),
           (unknown, 0.5), (flush, 0.3), (wrong_shape, 1)]


def command(rng):
    makers, weights = zip(*WEIGHTS)
    return rng.choices(makers, weights)[0](rng)


def ending(rng):
    return rng.choice([None, None, Command("quit", packet(rng, rng.choice([0x07, 0x17])), [])])


def parse(side, stream):
    """All replies of one side's stream; a rest that is no whole reply is one more."""
    replies, at = [], 0
    while at < len(stream):
        if len(stream) - at < HEADER.size or stream[at] != 0x81:
            replies.append(Reply((stream[at:],), (), None, stream[at:]))
            break
        magic, opcode, key_len, extras_len, kind, status, body_len, opaque, cas = HEADER.unpack_from(stream, at)
        body = stream[at + HEADER.size:at + HEADER.size + body_len]
        key = body[extras_len:extras_len + key_len]
        text = b"version" if opcode == 0x0B and status == 0 else body
        number = side.number(b"%d" % cas)
        head = f"{magic:02x} op {opcode:02x} status {status:02x} extras {extras_len} key {key_len} opaque {opaque:08x} cas {number} "
        same = (opcode, key_len, extras_len, kind, status, len(text), opaque, number, text)
        replies.append(Reply(same, (), (key, b"%d" % cas) if key and cas else None, head.encode() + text))
        at += HEADER.size + body_len
    return replies
