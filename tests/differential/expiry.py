"""Items that run out: given their time in every way there is, waited for, and then met by every command.

The servers' seconds tick apart, so nothing is compared while items may be running out: only what both say at once, and
what both say when the item that lives longest is gone.
"""
import itertools

from appliance import wait_for
from episode import Connection, converse
from grammar import PREFIX, Command

LIFE_S = 2
SENTINEL = PREFIX + b"sentinel"

# How an item gets its time; %s is the key. The last two keep theirs: they are there to be found.
GIVEN = [
    b"set %s 1 2 2\r\n10\r\n",
    b"add %s 1 2 2\r\n10\r\n",
    b"set %s 1 0 2\r\n10\r\ntouch %s 2\r\n",
    b"set %s 1 100 2\r\n10\r\ngat 2 %s\r\n",
    b"set %s 1 2 1\r\n1\r\nappend %s 0 100 1\r\n0\r\n",
    b"set %s 1 2 1\r\n9\r\nincr %s 1\r\n",
    b"ms %s 2 T2\r\n10\r\n",
    b"mg %s N2 v\r\n",
    b"set %s 1 0 2\r\n10\r\nmg %s T2 v\r\n",
    b"ma %s N2 J10 v\r\n",
    b"set %s 1 0 2\r\n10\r\nmd %s I T2\r\n",
    b"set %s 1 -1 2\r\n10\r\n",
    b"set %s 1 100 2\r\n10\r\n",
    b"set %s 1 2 2\r\n10\r\ntouch %s 100\r\n",
]

# What an item meets afterwards.
MET = [
    b"get %s\r\n", b"gets %s\r\n", b"gat 100 %s\r\n", b"touch %s 100\r\n", b"delete %s\r\n", b"incr %s 1\r\n",
    b"decr %s 1\r\n", b"add %s 0 0 1\r\n5\r\n", b"replace %s 0 0 1\r\n5\r\n", b"append %s 0 0 1\r\n5\r\n",
    b"prepend %s 0 0 1\r\n5\r\n", b"cas %s 0 0 1 999999999999\r\n5\r\n", b"mg %s v f s k\r\n", b"mg %s N100 v t\r\n",
    b"mg %s R30 v\r\n", b"mg %s T100 v t\r\n", b"ms %s 1 MA\r\n5\r\n", b"ms %s 1 MR\r\n5\r\n", b"ms %s 1 ME\r\n5\r\n",
    b"md %s\r\n", b"md %s I T30\r\n", b"ma %s v\r\n", b"ma %s N0 J3 v\r\n",
]


def keyed(template, key):
    return Command("expiry", (template.replace(b"%s", key),), [key])


def gone(address, prefix):
    return converse(address, b"get %s\r\n" % SENTINEL.replace(PREFIX, prefix), "whole") == b"END\r\n"


def keeps(address, prefix):
    """Whether what is set now stays: memcached takes along what is set in the second in which a flush comes."""
    key = SENTINEL.replace(PREFIX, prefix)
    return converse(address, b"set %s 0 0 1\r\nx\r\nget %s\r\n" % (key, key), "whole").endswith(b"x\r\nEND\r\n")


def play(player, prefix, sides):
    """Every way to give a time with every command that may follow. Raises episode.Difference."""
    meetings = [(b"%s%d" % (PREFIX, number), *pair) for number, pair in enumerate(itertools.product(GIVEN, MET))]
    given = [keyed(template, key) for key, template, _ in meetings]
    given.append(keyed(b"set %%s 0 %d 1\r\nx\r\n" % (LIFE_S + 1), SENTINEL))
    player.play_connection(Connection(given, "whole"), prefix, sides)
    for address in player.addresses:
        wait_for(lambda address=address: gone(address, prefix), "the items to run out")
    for key, template, met in meetings:
        player.play_connection(Connection([keyed(met, key), keyed(b"get %s\r\n", key)], "whole"), prefix, sides)
    return len(meetings)


def play_flush(player, prefix, sides):
    """A flush that is announced: what was there goes when it comes, what is set afterwards stays."""
    key = PREFIX + b"flushed"
    player.play_connection(Connection([keyed(b"set %s 0 0 1\r\nx\r\n", SENTINEL), keyed(b"set %s 0 0 1\r\nx\r\n", key),
                                       keyed(b"flush_all 1\r\n", key)], "whole"), prefix, sides)
    for address in player.addresses:
        wait_for(lambda address=address: gone(address, prefix), "the flush to come")
        wait_for(lambda address=address: keeps(address, prefix), "the second to pass")
    player.play_connection(Connection([keyed(b"get %s\r\n", key), keyed(b"add %s 0 0 1\r\ny\r\n", key),
                                       keyed(b"get %s\r\n", key)], "whole"), prefix, sides)
