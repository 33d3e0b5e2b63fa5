"""Where memcached 1.6.18, the server at hand, and 1.6.45, whose behaviour is ours, are known to differ.

A command whose name stands here is played on a connection of its own, its keys are deleted from both servers
afterwards, and its replies may differ as the entry says. Everything else has to be the same. Each entry is counted, so
that one that never applies is seen.
"""
import collections
import re

# theirs, ours: patterns of the reply lines, joined by "|"; both are searched whole.
Difference = collections.namedtuple("Difference", "name theirs ours reason")

NOTHING = rb"(?!)"  # the replies are the same; what is left behind is not
BAD_FORMAT = rb"CLIENT_ERROR bad command line format"

DIFFERENCES = [
    Difference("short line", rb"ERROR", BAD_FORMAT, "a line below four bytes"),
    Difference("leading space", rb".*", rb"ERROR", "a space before the command"),
    Difference("more arguments", rb"ERROR", rb"[^|]*", "arguments too many for incr, decr and touch are ignored"),
    Difference("get, key too long", BAD_FORMAT, BAD_FORMAT, "the error takes unsent replies before it along"),
    Difference("gat without key", rb"END", BAD_FORMAT, "a multiget of nothing"),
    Difference("md, wrong flag", rb"CLIENT_ERROR invalid or duplicate flag",
               rb"CLIENT_ERROR (invalid flag|duplicate flag|bad token in command line format)", "md says what is wrong"),
    Difference("wrong count", rb"ERROR(\|ERROR)*", BAD_FORMAT, "too few or too many arguments"),
    Difference("shutdown", rb"ERROR: shutdown not enabled", rb"SERVER_ERROR: shutdown not enabled", "the word before"),
    Difference("storage, wrong number", rb".*", rb"(" + BAD_FORMAT + rb")?",
               "the data block after a bad number"),
    Difference("storage, key too long", BAD_FORMAT + rb"(\|ERROR)?", BAD_FORMAT, "the data block after a long key"),
    Difference("storage, plus sign", rb".*", BAD_FORMAT + rb"\|" + BAD_FORMAT, "a sign before the length"),
    Difference("ma, N with q", rb"(HD|VA).*", rb"", "the reply of a miss that creates, hidden by q"),
    Difference("wrong shape", NOTHING, NOTHING, "memcached closes and forgets what it has not sent"),
    Difference("opaque too long", rb"CLIENT_ERROR .*|NF.*|EX.*|EN", rb"CLIENT_ERROR opaque token too long", "mg and ma act before they refuse it"),
    Difference("ma, T", NOTHING, NOTHING, "when a number gets longer the new time goes to the item that it replaces"),
    Difference("newer meta flag", rb".*", rb".*", "mg C E, ms E b, md x E, ma E, N with M: 1.6.45 only"),
]
BY_NAME = {difference.name: difference for difference in DIFFERENCES}


def allows(difference, theirs, ours):
    """Whether the two sides' differing reply lines are what the entry says."""
    return bool(re.fullmatch(difference.theirs, b"|".join(theirs), re.DOTALL) and
                re.fullmatch(difference.ours, b"|".join(ours), re.DOTALL))
