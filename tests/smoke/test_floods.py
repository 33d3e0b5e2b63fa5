#!/usr/bin/python3
"""Floods and sitters: who is there already and who comes is served, memory is bounded, and all of it is given back.

`make bench-floods` measures what these only show to hold.
"""
import itertools
import os
import resource
import shutil
import socket
import subprocess

import appliance
from appliance import INTERFACE, PORT, WIRE4, Skip, die_with_parent, exchange, must, store, wait_for
from hostile import Announced, Sitters, counter, harmless, reset, serves, slow_reader, worker_sum

BACKLOG = 64
MEMORY_MIB = 48
UNREAD_CLIENTS = 10_000
SITTERS = 10_000
SYNS_AT_ONCE = 200
SYN_EVERY_US = 100
PEERS_LOST = "10.77.0.9"
WITH_TIMESTAMPS_SACK_SCALE = 7  # tcpi_options
OPTIONS = {"tcp": {"syn_backlog": BACKLOG, "connection_memory": f"{MEMORY_MIB}m", "keepalive_idle": "1s"}}


def resident_bytes(target):
    with open(f"/proc/{target.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answers_everything(target):
    """ARP, ping, `stats` and a new connection."""
    must("ip", "neigh", "flush", "dev", INTERFACE)
    must("ping", "-c", "3", "-w", "60", "-i", "0.2", WIRE4)
    assert "curr_connections" in target.stats()
    serves(target)


def options_agreed(stream):
    return stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5]


@harmless
def syn_flood_keeps_nobody_out_and_memory_constant(target):
    if not shutil.which("hping3"):
        raise Skip("hping3 is not installed")
    streams = [target.connect() for _ in range(8)]
    memory, resident = worker_sum(target, "connection_memory_bytes"), resident_bytes(target)
    opened, cookies = 0, counter(target, "net", "tcp_cookies_accepted")
    source = Announced("10.77.0.77")
    with subprocess.Popen(["hping3", "-q", "-n", "-I", INTERFACE, "-a", source.address, "-S", "-p", str(PORT), "-i",
                           f"u{SYN_EVERY_US}", WIRE4], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          preexec_fn=die_with_parent) as flood:
        wait_for(lambda: counter(target, "net", "tcp_cookies_sent") > 0, "the first cookie")
        for number in range(200):
            if number % 20 == 0:
                source.announce()
            with target.connect() as stream:
                exchange(stream, b"get nothing\r\n", b"END\r\n")
                assert options_agreed(stream) & 7 == WITH_TIMESTAMPS_SACK_SCALE
                opened += 1
            exchange(streams[number % 8], b"get nothing\r\n", b"END\r\n")
            assert worker_sum(target, "half_open") <= BACKLOG * len(target.json("worker", "show"))
        answers_everything(target)
        assert flood.poll() is None, "hping3 ended by itself"
        grown = worker_sum(target, "connection_memory_bytes") - memory
        flood.kill()
    syns = counter(target, "net", "tcp_syns_in")
    appliance.note(f"{syns} SYNs, {opened} connections opened, "
                   f"{counter(target, 'net', 'tcp_cookies_accepted') - cookies} of them by a cookie; memory {grown:+} bytes")
    assert counter(target, "net", "tcp_cookies_accepted") > cookies
    assert grown <= 1 << 20, grown
    assert resident_bytes(target) - resident <= 16 << 20
    for stream in streams:
        stream.close()


@harmless
def ten_thousand_clients_that_never_read_stop_nobody(target):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < UNREAD_CLIENTS + 200:
        raise Skip(f"a process may have {hard} open files here, {UNREAD_CLIENTS + 200} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (UNREAD_CLIENTS + 200, hard))
    with target.connect() as stream:
        for number in range(4):
            store(stream, b"unread%d" % number, os.urandom(1000) * 200)
    mbufs = worker_sum(target, "mbufs_free")
    streams = []
    for number in range(UNREAD_CLIENTS):
        streams.append(slow_reader())
        streams[-1].sendall(b"get unread0 unread1 unread2 unread3\r\n")
        if number % 1000 == 999:
            answers_everything(target)
    held = worker_sum(target, "connection_memory_bytes")
    appliance.note(f"{worker_sum(target, 'connections')} connections hold {held} bytes and "
                   f"{mbufs - worker_sum(target, 'mbufs_free')} packet buffers; "
                   f"{counter(target, 'net', 'tcp_pressure_resets')} were reset for memory")
    assert held <= MEMORY_MIB << 20
    for stream in streams:
        reset(stream)


@harmless
def ten_thousand_zero_windows_with_replies_pending_stop_nobody(target):
    with target.connect() as stream:
        store(stream, b"sitting", os.urandom(1000) * 200)
    before, mbufs = worker_sum(target, "connections"), worker_sum(target, "mbufs_free")
    with Sitters("10.77.0.88", SITTERS, b"get sitting\r\n") as sitters:
        ports = list(sitters.ports())
        groups = [ports[begin:begin + SYNS_AT_ONCE] for begin in range(0, SITTERS, SYNS_AT_ONCE)]
        for number, some in enumerate(groups):
            sitters.open(some)
            if number % 10 == 0:
                answers_everything(target)
        turns = itertools.cycle(groups)

        def all_sit():
            """An ACK of a cookie that got lost leaves nothing: that one has to begin again."""
            if worker_sum(target, "connections") - before + counter(target, "net", "tcp_pressure_resets") >= SITTERS * 0.99:
                return True
            sitters.knock(next(turns))
            return False
        wait_for(all_sit, "the sitters' connections")

        def asked_again():
            sitters.announced.announce()
            return sitters.asked_again > 0
        wait_for(asked_again, "a window probe")
        sitting, held = worker_sum(target, "connections") - before, worker_sum(target, "connection_memory_bytes")
        answers_everything(target)
        appliance.note(f"{sitting} sit and hold {held} bytes and {mbufs - worker_sum(target, 'mbufs_free')} packet buffers; "
                       f"asked again {sitters.asked_again} times; {counter(target, 'net', 'tcp_pressure_resets')} were reset "
                       "for memory")
        assert held <= MEMORY_MIB << 20

        def all_gone():
            sitters.reset()
            return worker_sum(target, "connections") <= before
        wait_for(all_gone, "the sitters to be reset", deadline_s=120)


@harmless
def commands_that_never_end_are_cheap_and_closed_when_told_to(target):
    streams = [target.connect() for _ in range(2000)]
    for piece in (b"g", b"et ", b"a", b"b" * 200, b" c"):
        for stream in streams:
            stream.sendall(piece)
    answers_everything(target)
    held = worker_sum(target, "connection_memory_bytes") / len(streams)
    appliance.note(f"{held:.0f} bytes for each of {len(streams)} half lines")
    assert held <= 2048
    target.options["tcp"]["idle_timeout"] = "1s"
    apply(target)
    # With FIN: they are gone when their clients close, too, or after FIN_WAIT_2's minute.
    wait_for(lambda: counter(target, "workers", "connections_silent") >= 2000, "silent connections to be closed")
    target.options["tcp"]["idle_timeout"] = "0"
    apply(target)
    for stream in streams:
        stream.close()


def apply(target):
    with open(target.config_path, "w", encoding="ascii") as config:
        config.write(target.config_text())
    done = target.wirectl("config", "apply", target.config_path)
    assert done.returncode == 0, done.stdout.decode()


@harmless
def peers_that_lose_power_are_forgotten(target):
    """Their address goes, and with it every answer; idle ones are noticed by keepalive, after 1 + 6 x 10 s."""
    must("ip", "address", "add", f"{PEERS_LOST}/32", "dev", INTERFACE)
    streams = []
    for _ in range(200):
        stream = socket.create_connection((WIRE4, PORT), timeout=30, source_address=(PEERS_LOST, 0))
        exchange(stream, b"get nothing\r\n", b"END\r\n")
        streams.append(stream)
    must("ip", "address", "del", f"{PEERS_LOST}/32", "dev", INTERFACE)
    serves(target)
    assert worker_sum(target, "connections") >= 200
    wait_for(lambda: worker_sum(target, "connections") == 0, "lost peers to be noticed", deadline_s=150)
    assert counter(target, "net", "tcp_gave_up") >= 200
    for stream in streams:
        reset(stream)


if __name__ == "__main__":
    appliance.main(OPTIONS)
