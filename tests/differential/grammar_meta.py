"""Commands of the meta protocol: any flags in any order, keys plain and base64."""
import base64

from grammar import (BASE64_KEYS, DELTAS, DELTAS_WRONG, EXPTIMES, EXPTIMES_WRONG, FLAGS, KEY_TOO_LONG, KEYS,
                     MARKED_KEYS, Command, mostly, pick_counted_key, pick_key, pick_marked_key, pick_value)
import grammar_text

CONSTANT_CAS = [b"0", b"999999999999", b"18446744073709551615"]


def keyed(rng, pick=None):
    """(key as sent, plain key, the flag that says so)"""
    key = pick(rng) if pick else rng.choice([pick_key, pick_marked_key])(rng)
    if key in BASE64_KEYS and rng.random() < 0.6:
        return base64.b64encode(key), key, [b"b"]
    return key, key, []


def flags_of(rng, table, share):
    """A subset of a table of flags {letter: values or None} in random order, each with one of its values."""
    chosen = [letter for letter in table if rng.random() < share]
    rng.shuffle(chosen)
    return [letter + (rng.choice(table[letter]) if table[letter] else b"") for letter in chosen]


def line(parts):
    """Tokens with spaces between; ("cas", key) stays a part of its own."""
    out = []
    for part in parts:
        out += [b" ", part] if isinstance(part, bytes) else [b" C", part]
    return tuple(out[1:]) + (b"\r\n",)


def opaque():
    return [b"abc", b"1", b"opaque-of-thirty-bytes-xxxxxxx"]


def mg(rng):
    sent, key, binary = keyed(rng)
    table = {b"v": None, b"k": None, b"c": None, b"f": None, b"s": None, b"t": None, b"l": None, b"q": None,
             b"O": opaque(), b"P": [b"x"], b"L": [b"y"]}
    flags = flags_of(rng, table, 0.35) + flags_of(rng, {b"T": EXPTIMES}, 0.1) + binary
    if key in MARKED_KEYS:
        flags += flags_of(rng, {b"h": None, b"N": EXPTIMES, b"R": [b"30", b"200", b"0"]}, 0.25)
    rng.shuffle(flags)
    return Command("mg", line([b"mg", sent, *flags]), [key])


def ms(rng):
    sent, key, binary = keyed(rng)
    value = pick_value(rng, key)
    flags = flags_of(rng, {b"k": None, b"c": None, b"q": None, b"O": opaque(), b"P": [b"x"]}, 0.25)
    flags += flags_of(rng, {b"F": FLAGS, b"T": EXPTIMES}, 0.3)
    if key in MARKED_KEYS:
        flags += flags_of(rng, {b"I": None}, 0.25)
    if rng.random() < 0.5:
        joins = [] if key in BASE64_KEYS else [b"A", b"P", b"a", b"p"]
        flags.append(b"M" + rng.choice([b"S", b"s", b"E", b"R", b"e", b"r", b"x", *joins]))
    if rng.random() < 0.2:
        flags.append(("cas", key) if rng.random() < 0.7 else b"C" + rng.choice(CONSTANT_CAS))
    flags += binary
    rng.shuffle(flags)
    return Command("ms", (*line([b"ms", sent, b"%d" % len(value), *flags]), value, b"\r\n"), [key])


def md(rng):
    sent, key, binary = keyed(rng)
    flags = flags_of(rng, {b"k": None, b"q": None, b"O": opaque()}, 0.25)
    if key in MARKED_KEYS and rng.random() < 0.5:
        flags += [b"I"] + flags_of(rng, {b"T": EXPTIMES}, 0.4)
    if rng.random() < 0.2:
        flags.append(("cas", key) if rng.random() < 0.7 else b"C" + rng.choice(CONSTANT_CAS))
    flags += binary
    rng.shuffle(flags)
    return Command("md", line([b"md", sent, *flags]), [key])


def ma(rng):
    sent, key, binary = keyed(rng, pick_counted_key)
    flags = flags_of(rng, {b"v": None, b"k": None, b"c": None, b"t": None, b"q": None, b"O": opaque()}, 0.3)
    flags += flags_of(rng, {b"N": EXPTIMES, b"J": DELTAS, b"T": EXPTIMES, b"M": [b"I", b"D", b"+", b"-", b"i", b"d"]}, 0.2)
    if rng.random() < 0.5:
        flags.append(b"D" + mostly(rng, DELTAS, DELTAS_WRONG))
    if rng.random() < 0.1:
        flags.append(("cas", key) if rng.random() < 0.7 else b"C" + rng.choice(CONSTANT_CAS))
    flags += binary
    rng.shuffle(flags)
    letters = {flag[:1] for flag in flags if isinstance(flag, bytes)}
    name = "ma, N with q" if {b"N", b"q"} <= letters else "ma, T" if b"T" in letters else "ma"
    return Command(name, line([b"ma", sent, *flags]), [key])


def me(rng):
    key = pick_marked_key(rng)
    return Command("me", (b"me %s\r\n" % key,), [key])


def broken(rng):
    """One thing wrong: the errors that both versions spell alike."""
    key = pick_key(rng)
    return Command("meta, broken", (rng.choice([
        b"mg %s v v\r\n" % key, b"mg %s k c k\r\n" % key, b"mg %s Tabc\r\n" % key, b"mg %s N1x\r\n" % key,
        b"mg %s\r\n" % KEY_TOO_LONG,
        b"ms %s abc\r\n" % key, b"ms %s -1\r\n" % key, b"mg %s b v\r\n" % b"!!not*base64",
        b"ma %s D1 D2\r\n" % key, b"ma %s Nx\r\n" % key, b"mg %s %s\r\n" % (key, b"v " * 30),
        b"ms %s 3 q\r\nabcdefghijkl\r\n" % key, b"mn x\r\n", b"ms %s 2 T%s\r\nxx\r\n" % (key, rng.choice(EXPTIMES_WRONG)),
        b"ms %s 2 F-1\r\nxx\r\n" % key, b"md %s\r\n" % KEY_TOO_LONG,
        b"mx %s\r\n" % key]),), [key])


def key_too_long(rng):
    del rng
    return Command("storage, key too long", (b"ms %s 5\r\nhello\r\n" % KEY_TOO_LONG,), [])


def opaque_too_long(rng):
    key = pick_key(rng)
    return Command("opaque too long", (b"%s %s O%s\r\n" % (rng.choice([b"mg", b"ma", b"md"]), key, b"o" * 40),), [key])


def broken_md(rng):
    key = pick_key(rng)
    return Command("md, wrong flag", (b"md %s %s\r\n" % (key, rng.choice([b"q q", b"k O1 k", b"z", b"I Tx", b"Cx"])),), [key])


def wrong_count(rng):
    return Command("wrong count", (rng.choice([b"mg\r\n", b"me\r\n", b"ms\r\n", b"ma\r\n", b"md\r\n"]),), [])


def newer(rng):
    """What only the newer version knows."""
    key = pick_key(rng)
    return Command("newer meta flag", (rng.choice([
        b"mg %s C5 v\r\n" % key, b"mg %s N30 E77 v\r\n" % key, b"ms %s 2 E55 c\r\nxx\r\n" % key, b"md %s x\r\n" % key,
        b"md %s I E9\r\n" % key, b"ms %s 2 MA N30\r\nxx\r\n" % key, b"ma %s N0 E88 c\r\n" % key, b"mg %s !\r\n" % key,
        b"ms %s 2 F4294967296\r\nxx\r\n" % key, b"ms %s 2 Mxyz\r\nxx\r\n" % key, b"ms %s 2 Mset\r\nxx\r\n" % key, b"ma %s Mincr\r\n" % key]),), [key])


def text(rng):
    """The same items through the old commands."""
    return rng.choice([grammar_text.storage, grammar_text.fetch, grammar_text.number, grammar_text.remove])(rng)


WEIGHTS = [(mg, 34), (ms, 28), (ma, 12), (md, 7), (me, 3), (text, 12), (broken, 2.5), (broken_md, 0.3), (opaque_too_long, 0.2), (key_too_long, 0.1), (wrong_count, 0.5),
           (newer, 1.5)]


def command(rng):
    makers, weights = zip(*WEIGHTS)
    return rng.choices(makers, weights)[0](rng)


def ending(rng):
    return rng.choice([None, None, Command("mn", (b"mn\r\n",), []), Command("unfinished", (b"mg %s v" % KEYS[0],), [])])
