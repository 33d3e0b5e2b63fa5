"""An episode: a few connections' worth of commands on keys of its own, played against both servers and compared.

Since no other episode uses its keys, it can be played again under another prefix, whole or in part: that is how a
difference is shrunk to the commands that matter.
"""
import base64
import collections
import itertools
import re
import socket
import struct
import threading

import replies
from grammar import PREFIX, PREFIX_BASE64, Command
from versions import BY_NAME, allows

CONNECTION_COMMANDS_MAX = 60
SHRINK_PLAYS_MAX = 400
SILENCE_S = 30
REPEATED = re.compile(rb"(.)\1{20,}", re.DOTALL)
PREFIXES = itertools.count(100000000)

# A connection's commands and how its bytes are cut into sends: "whole", "bytes", or a seed of random cuts.
Connection = collections.namedtuple("Connection", "commands cuts")


class Difference(Exception):
    """The first replies that differ: index, theirs, ours, and the connection."""


def new_prefix():
    """Digits that no other episode's keys begin with."""
    return b"%09d" % next(PREFIXES)


def resolve(command, prefix, side):
    """The bytes of a command for one server."""
    out = bytearray()
    for part in command.parts:
        if isinstance(part, tuple):
            kind, key = part
            cas = side.by_key.get(key.replace(PREFIX, prefix), replies.CAS_UNKNOWN)
            out += struct.pack(">Q", int(cas)) if kind == "cas64" else cas
        else:
            out += part.replace(PREFIX, prefix).replace(PREFIX_BASE64, base64.b64encode(prefix))
    return bytes(out)


def pieces(data, cuts):
    if cuts == "whole":
        return [data]
    if cuts == "bytes":
        return [data[i:i + 1] for i in range(len(data))]
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[a:b] for a, b in zip(edges, edges[1:])]


def send(stream, data, cuts):
    try:
        for piece in pieces(data, cuts):
            stream.sendall(piece)
        stream.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it closed on what came first: its replies are there to be read


def converse(address, data, cuts):
    """Sends everything, ends the sending half, and returns all that comes back. It reads meanwhile: a server may stop
    reading from who does not.
    """
    got = bytearray()
    with socket.create_connection(address, timeout=SILENCE_S) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sender = threading.Thread(target=send, args=(stream, data, cuts))
        sender.start()
        try:
            while piece := stream.recv(1 << 18):
                got += piece
        except ConnectionResetError:
            pass  # the same; what it said before was read
        except TimeoutError:
            raise AssertionError(f"{address} is silent to {stream.getsockname()} after {readable(bytes(got[-200:]))}; it was "
                                 f"sent {len(data)} bytes, {readable(data[-300:])}") from None
        finally:
            sender.join()
    return bytes(got)


class Player:
    """Two servers, and what was counted. addresses: (theirs, ours). parse: of the grammar's replies."""

    def __init__(self, addresses, parse=replies.parse):
        self.addresses = addresses
        self.parse = parse
        self.commands = 0
        self.played = collections.Counter()  # of versions.py's entries
        self.applied = collections.Counter()

    def play(self, connections, counted=True):
        """Raises Difference at the first one."""
        prefix = new_prefix()
        sides = (replies.Side(), replies.Side())
        for connection in connections:
            self.play_connection(connection, prefix, sides)
            self.commands += len(connection.commands) if counted else 0

    def play_connection(self, connection, prefix, sides):
        alone = [BY_NAME[c.name] for c in connection.commands if c.name in BY_NAME]
        streams = [converse(address, b"".join(resolve(c, prefix, side) for c in connection.commands), connection.cuts)
                   for address, side in zip(self.addresses, sides)]
        if alone:
            sides = (replies.Side(), replies.Side())  # what only one of them may have answered is not numbered
        theirs, ours = (self.parse(side, stream) for side, stream in zip(sides, streams))
        at = replies.first_difference(theirs, ours)
        if alone and (at is None or allows(alone[0], replies.shape(theirs), replies.shape(ours))):
            self.played[alone[0].name] += 1
            self.applied[alone[0].name] += at is not None
            self.forget(connection, prefix)
        elif at is not None:
            raise Difference(f"reply {at} of {resolve(connection.commands[0], prefix, sides[0])[:60]!r}: theirs {shown(theirs, at)}, ours {shown(ours, at)}")
        for side, seen in zip(sides, (theirs, ours)):
            side.by_key.update(reply.learnt for reply in seen if reply.learnt)

    def forget(self, connection, prefix):
        """After a command that may leave the servers apart."""
        for key in {key for command in connection.commands for key in command.keys}:
            for address in self.addresses:
                converse(address, b"delete %s\r\n" % key.replace(PREFIX, prefix), "whole")

    def differs(self, connections):
        try:
            self.play(connections, counted=False)
            return None
        except Difference as difference:
            return str(difference)


def shown(seen, at):
    if at >= len(seen):
        return "ends"
    data = seen[at].tokens[-1] if seen[at].raw[:2] in (b"VA", b"VALUE") else b""
    return readable(seen[at].raw) + (f" + {readable(data)}" if data else "")


def readable(data):
    """Bytes for a reader, long repetitions cut short."""
    return f"{REPEATED.sub(lambda found: found.group(1) + b'{%d}' % len(found.group()), data)!r:.300}"


def make(rng, grammar, commands_len):
    """An episode of about so many commands. What versions answer differently gets a connection of its own."""
    connections = []
    while commands_len > 0:
        count = min(commands_len, rng.randrange(1, CONNECTION_COMMANDS_MAX))
        commands_len -= count
        together = []
        for command in (grammar.command(rng) for _ in range(count)):
            if counts_what_is_being_sent(command, together):
                connections.append(Connection(together, cuts_of(rng, together)))
                together = [command]
            elif command.name in BY_NAME:
                connections += [Connection(together, cuts_of(rng, together)), Connection([command], "whole")]
                together = []
            else:
                together.append(command)
        last = grammar.ending(rng)
        if last and last.name == "endless line":
            connections.append(Connection([last], "whole"))  # memcached forgets unsent replies when it closes on it
        elif last:
            together.append(last)
        connections.append(Connection(together, cuts_of(rng, together)))
    return [connection for connection in connections if connection.commands]


def counts_what_is_being_sent(command, before):
    """memcached pads a number that got shorter, unless a reply before it still holds the item: then it replaces it."""
    return command.name in ("number", "ma") and any(command.keys[0] in earlier.keys for earlier in before
                                                    if earlier.name in ("fetch", "mg", "touch"))


def cuts_of(rng, commands):
    size = sum(len(part) for command in commands for part in command.parts if isinstance(part, bytes))
    roll = rng.random()
    if roll < 0.08 and size < 3000:
        return "bytes"
    if roll < 0.3:
        return [rng.randrange(1 << 22) for _ in range(rng.randrange(1, 12))]
    return "whole"


def shrink(player, connections):
    """The fewest commands found that still differ, with the difference that they show."""
    plays = 0
    best, text = connections, player.differs(connections)
    if text is None:
        return connections[-1:], "not seen again: it depends on time or on other keys"
    step = max(1, sum(len(c.commands) for c in best) // 2)
    while step >= 1 and plays < SHRINK_PLAYS_MAX:
        at, total = 0, sum(len(c.commands) for c in best)
        while at < total and plays < SHRINK_PLAYS_MAX:
            smaller = without(best, at, step)
            plays += 1
            found = player.differs(smaller) if smaller else None
            if found:
                best, text = smaller, found
                total = sum(len(c.commands) for c in best)
            else:
                at += step
        step //= 2
    whole = [Connection(c.commands, "whole") for c in best]
    found = player.differs(whole)
    return (whole, found) if found else (best, text)


def without(connections, at, count):
    """The episode without some of its commands, counted over all connections."""
    out, seen = [], 0
    for connection in connections:
        keep = [c for i, c in enumerate(connection.commands, seen) if not at <= i < at + count]
        seen += len(connection.commands)
        if keep:
            out.append(Connection(keep, connection.cuts))
    return out


def describe(connections):
    """The commands of an episode for a reader."""
    lines = []
    for number, connection in enumerate(connections, 1):
        cuts = connection.cuts if isinstance(connection.cuts, str) else "cut at random"
        lines.append(f"connection {number} ({cuts}):")
        for command in connection.commands:
            text = " + ".join(readable(p) if isinstance(p, bytes) else "CAS" for p in join(command))
            lines.append(f"  {command.name}: {text}")
    return "\n".join(lines)


def join(command):
    """A command's parts with neighbouring bytes made one."""
    for is_bytes, group in itertools.groupby(command.parts, key=lambda part: isinstance(part, bytes)):
        if is_bytes:
            yield b"".join(group)
        else:
            yield from group


__all__ = ["Command", "Connection", "Difference", "Player", "describe", "make", "shrink"]
