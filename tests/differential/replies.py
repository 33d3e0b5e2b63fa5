"""Reply streams of the text and meta protocols, cut into replies and made comparable (binary: grammar_binary.py).

CAS values differ between any two servers, so each side's are numbered in order of appearance and the numbers are
compared. Ages and remaining times (l, t, la=, exp=) may differ by a second, since the servers' clocks tick apart. What
`me` says of slab classes and item sizes belongs to a server's memory layout and is left out.
"""
import collections
import re

META = (b"HD", b"VA", b"EN", b"NS", b"EX", b"NF")
CAS_UNKNOWN = b"999999999999"
SECOND = 1
MONTH = 2592000  # longer times are dates, and each server rounds its own start when it counts from there
PAST = 1 << 31  # a time to live that is negative, shown unsigned

# tokens: what must be equal; ages: what may differ by a second; learnt: (key, CAS) if the reply tells both.
Reply = collections.namedtuple("Reply", "tokens ages learnt raw")


class Side:
    """One server's CAS values: how they are numbered, and the last one of each key."""

    def __init__(self):
        self.numbers = {}
        self.by_key = {}

    def number(self, cas):
        return self.numbers.setdefault(cas, len(self.numbers)) if cas != b"0" else "zero"


def cut(stream):
    """Yields (line, data) of a reply stream; data is None where a line has none. A last line may be unfinished."""
    at = 0
    while at < len(stream):
        end = stream.find(b"\n", at)
        if end < 0:
            yield stream[at:], None
            return
        line, at = stream[at:end + 1], end + 1
        tokens = line.split()
        length = None
        if tokens[:1] == [b"VALUE"] and len(tokens) in (4, 5) and tokens[3].isdigit():
            length = int(tokens[3])
        elif tokens[:1] == [b"VA"] and len(tokens) > 1 and tokens[1].isdigit():
            length = int(tokens[1])
        if length is None:
            yield line, None
        else:
            yield line, stream[at:at + length + 2]
            at += length + 2


def of_value(side, tokens, line, data):
    cas = tokens[4] if len(tokens) == 5 else None
    same = (*tokens[:4], None if cas is None else side.number(cas), data)
    return Reply(same, (), None if cas is None else (tokens[1], cas), line)


def of_meta(side, tokens, line, data):
    same, ages, cas, key = [tokens[0]], [], None, None
    for token in tokens[1:]:
        if token[:1] == b"c" and token[1:].isdigit():
            cas = token[1:]
            same.append(("c", side.number(cas)))
        elif token[:1] in (b"l", b"t") and token[1:].isdigit():
            past = int(token[1:]) >= PAST
            same.append((token[:1], past))
            ages.append(0 if past else int(token[1:]))
        else:
            key = token[1:] if token[:1] == b"k" else key
            same.append(token)
    learnt = (key, cas) if key is not None and cas is not None else None
    return Reply((*same, data), tuple(ages), learnt, line)


def of_debug(side, tokens, line):
    same, ages = [], []
    for token in tokens:
        name, _, value = token.partition(b"=")
        if name in (b"la", b"exp") and value != b"-1":
            same.append(name)
            ages.append(abs(int(value)))  # 1.6.18 has the sign of exp the other way round
        elif name == b"cas":
            same.append(("c", side.number(value)))
        elif name not in (b"cls", b"size"):
            same.append(token)
    return Reply(tuple(same), tuple(ages), None, line)


def parse(side, stream):
    """All replies of one side's stream."""
    replies = []
    for line, data in cut(stream):
        tokens = line.rstrip(b"\r\n").split(b" ")
        if tokens[0] == b"VALUE" and data is not None:
            replies.append(of_value(side, tokens, line, data))
        elif tokens[0] in META and line.endswith(b"\r\n"):
            replies.append(of_meta(side, tokens, line, data))
        elif tokens[0] == b"ME":
            replies.append(of_debug(side, tokens, line))
        elif tokens[0] == b"VERSION":
            replies.append(Reply((b"VERSION",), (), None, line))
        else:
            replies.append(Reply((line,), (), None, line))
    return replies


def same(left, right):
    return left.tokens == right.tokens and all(abs(a - b) <= (SECOND if a <= MONTH else 2 * SECOND)
                                               for a, b in zip(left.ages, right.ages))


def first_difference(left, right):
    """The index of the first replies that differ, or None."""
    for index, pair in enumerate(zip(left, right)):
        if not same(*pair):
            return index
    return None if len(left) == len(right) else min(len(left), len(right))


def shape(replies):
    """The first words of the replies, for the table of differences between versions."""
    return [re.sub(rb"\s+$", b"", reply.raw) for reply in replies]
