#!/usr/bin/python3
"""Seeded streams of commands, played against Debian's memcached and the appliance: the replies have to be the same.

usage: test_differential.py [--cases N] [--seed S] [--grammar NAME]

N commands of each grammar. The first difference is shrunk and shown with what both answered; then that grammar ends.
What is known to differ between memcached 1.6.18, which is at hand, and 1.6.45, which is the model, is versions.py's table.
"""
import argparse
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "smoke"))
import appliance  # noqa: E402  pylint: disable=wrong-import-position
from appliance import PORT, WIRE4, note, test  # noqa: E402  pylint: disable=wrong-import-position

import replies  # noqa: E402  pylint: disable=wrong-import-position
import episode  # noqa: E402  pylint: disable=wrong-import-position
import expiry  # noqa: E402  pylint: disable=wrong-import-position
import grammar_binary  # noqa: E402  pylint: disable=wrong-import-position
import grammar_meta  # noqa: E402  pylint: disable=wrong-import-position
import grammar_text  # noqa: E402  pylint: disable=wrong-import-position

GRAMMARS = {"text": grammar_text, "meta": grammar_meta, "binary": grammar_binary}
EPISODE_COMMANDS = 150
THEIRS = ("127.0.0.1", 11212)


class Reference(appliance.Memcached):
    """Debian's memcached on loopback, beside the appliance. Its background threads hold items now and then, and a number
    that gets shorter is padded only when nobody holds it: they are off.
    """
    host, port = THEIRS

    def connect(self, host=None, timeout_s=30):
        return super().connect(host or self.host, timeout_s)

    def start(self):
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as ports:
            ports.write("2048 65000")  # of this namespace: each connection's port rests for a minute
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["memcached", "-u", "root", "-l", self.host, "-p", str(self.port), "-m",
                                             "1024", "-o", "no_lru_crawler,no_lru_maintainer"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=appliance.die_with_parent)
        self.wait_ready()


class Double(Reference):
    """The same in the appliance's place: memcached has to be found equal to itself."""
    host, port = WIRE4, PORT

    def start(self):
        appliance.must("ip", "address", "add", f"{WIRE4}/24", "dev", "lo")
        super().start()


def play(grammar, cases, seed):
    """Plays the cases; fails with the shrunk episode."""
    player = episode.Player((THEIRS, (WIRE4, PORT)), getattr(grammar, "parse", replies.parse))
    number = 0
    while player.commands < cases:
        rng = random.Random(f"{seed} {number}")
        connections = episode.make(rng, grammar, min(EPISODE_COMMANDS, cases - player.commands))
        try:
            player.play(connections)
        except episode.Difference as difference:
            least, text = episode.shrink(player, connections)
            raise AssertionError(f"episode {number}, after {player.commands} commands: {difference}\nshrunk: {text}\n"
                                 f"{episode.describe(least)}") from None
        number += 1
    note(f"{player.commands} commands in {number} episodes; known differences: " +
         (", ".join(f"{name} ({player.applied[name]} of {count})" for name, count in sorted(player.played.items())) or
          "none"))


def beside_reference(function):
    """Runs the function while a memcached of its own is up."""
    reference = Reference()
    try:
        reference.start()
        function()
    finally:
        reference.stop()
        reference.remove()


def comparison(name, cases, seed):
    def compare(_target):
        beside_reference(lambda: play(GRAMMARS[name], cases, seed))
    compare.__name__ = f"{name}_streams_are_answered_as_by_memcached"
    return compare


@test
def expired_items_are_met_as_by_memcached(_target):
    player = episode.Player((THEIRS, (WIRE4, PORT)))
    sides = (replies.Side(), replies.Side())
    beside_reference(lambda: note(f"{expiry.play(player, episode.new_prefix(), sides)} meetings"))


@test
def delayed_flush_spares_what_is_set_after_it(_target):
    player = episode.Player((THEIRS, (WIRE4, PORT)))
    beside_reference(lambda: expiry.play_flush(player, episode.new_prefix(), (replies.Side(), replies.Side())))


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--cases", type=int, default=5000, help="commands of each grammar")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--grammar", choices=sorted(GRAMMARS), action="append", help="only these")
    args = args.parse_args()
    for spoken in args.grammar or GRAMMARS:
        test(comparison(spoken, args.cases, args.seed))
    appliance.main({"memory": {"limit": "512m"}}, kinds=(appliance.Appliance, Double))
