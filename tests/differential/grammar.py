"""What every grammar shares: the command, keys that no other episode uses, and values at the edges.

An episode's keys begin with PREFIX, which the player replaces by digits, plain or as base64 (nine bytes are twelve of
base64, so that a key's base64 begins with the prefix's). CAS(key) stands for the value that the server told last.
"""
import base64
import collections

PREFIX = b"@@@@@@@@@"
PREFIX_BASE64 = base64.b64encode(PREFIX)

# parts: bytes, or ("cas", key): its digits, or ("cas64", key): its eight bytes. name: what the table of differences goes
# by. keys: those it may change.
Command = collections.namedtuple("Command", "name parts keys")

FLAGS = [b"0", b"1", b"7", b"65535", b"65536", b"4294967295"]
FLAGS_WRONG = [b"-1", b"abc", b"18446744073709551616", b"1x"]
EXPTIMES = [b"0"] * 8 + [b"100", b"3600", b"2592000", b"2592001", b"-1", b"-2147483648", b"2147483647", b"4294967296"]
EXPTIMES_WRONG = [b"abc", b"1x", b"--1", b"99999999999999999999"]
# From 2^63 on memcached looks for a minus sign behind the number, up to the next NUL and into its neighbours' headers:
# whether such an item counts is chance there, so only what is taken away may be so large.
DELTAS = [b"0", b"1", b"5", b"9", b"10", b"99", b"4294967295", b"4294967296"]
DELTAS_DOWN = DELTAS + [b"9223372036854775808", b"18446744073709551615"]
DELTAS_WRONG = [b"-1", b"1.5", b"abc", b"18446744073709551616", b"1x"]
NUMBERS = [b"0", b"1", b"9", b"10", b"99", b"100", b"12345", b"1000000000000000000", b"00010", b" 10", b"10  ", b"+1"]
NOT_NUMBERS = [b"", b"-1", b"abc", b"10xx", b"18446744073709551616", b"123456789012345678901"]
KEY_MAX = 250
ITEM_EDGES = [1048500, 1048600, 1048576, 1100000, 2000000]


def key_of(name):
    return PREFIX + name


KEYS = [key_of(name) for name in (b"a", b"b", b"c", b"d", b"e", b"f", b"\x01ctl", b"\x7f\xff", b"key:with:colons")]
KEYS.append(PREFIX + b"L" * (KEY_MAX - len(PREFIX)))
KEY_TOO_LONG = PREFIX + b"X" * (KEY_MAX + 1 - len(PREFIX))


def pick_key(rng):
    # Few keys, so that commands meet each other's items.
    return rng.choice(KEYS[:3]) if rng.random() < 0.7 else rng.choice(KEYS)


# memcached reads on behind an item that is blank or empty when it counts with it, and may find old digits there. And it
# forgets an item's marks (fetched, stale, token, base64) when a number grows by a digit, and an append those of an item
# stored under a base64 key; ours keeps them. So there are keys that are counted with, keys whose items carry marks or are
# blank, and of these some that may be base64 and are not appended to.
COUNTED_KEYS, MARKED_KEYS, BASE64_KEYS = KEYS[:5], KEYS[5:], KEYS[7:9]


def pick_marked_key(rng):
    return rng.choice(MARKED_KEYS)


def pick_counted_key(rng):
    return rng.choice(COUNTED_KEYS[:2] if rng.random() < 0.7 else COUNTED_KEYS)


def pick_value(rng, key):
    value = any_value(rng)
    return value if key in MARKED_KEYS or value.strip() else b"7"


def any_value(rng):
    roll = rng.random()
    if roll < 0.35:
        return rng.choice(NUMBERS)
    if roll < 0.45:
        return rng.choice(NOT_NUMBERS)
    if roll < 0.93:
        return bytes(rng.choice(b"abc \r\n\0VALUE\xff") for _ in range(rng.randrange(40)))
    # A number may have much behind it, up to half a megabyte in memcached.
    begin = rng.choice([b"", b"", b"99 ", b" 0", b"7\0"])
    if roll < 0.995:
        return begin + bytes([rng.randrange(256)]) * rng.randrange(10000)
    return begin + rng.choice([b"z", b" "]) * rng.choice([100000, 300000, 500000, rng.randrange(523900, 524300)])


def mostly(rng, good, wrong, share=0.02):
    return rng.choice(wrong) if rng.random() < share else rng.choice(good)
