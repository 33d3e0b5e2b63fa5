#!/usr/bin/python3
"""Several NUMA nodes as the operator tells them: caches of their own behind their ports, one cache over all, and the
workers' own ports. The machine need not have the nodes: what is not there is said, and works all the same."""
import contextlib

import appliance
from appliance import Appliance, HOST4, INTERFACE, WIRE4, exchange, fetched, started, store, test

SECOND_INTERFACE, SECOND_HOST4, SECOND_WIRE4 = "wire1", "10.78.0.1", "10.78.0.2"
SECOND_PORT = {"device": f"net_tap1,iface={SECOND_INTERFACE}", "ipv4": f"{SECOND_WIRE4}/24"}
STEERING = 11300


def start_both(target):
    target.launch()
    target.bring_up(INTERFACE, HOST4)
    target.bring_up(SECOND_INTERFACE, SECOND_HOST4)
    target.wait_ready()


def two_nodes(keyspace):
    return {"workers": {"count": "2", "nodes": "0,1", "steering_port": str(STEERING)},
            "memory": {"limit": "64m", "hugepages": "off", "keyspace": keyspace},
            f"port {INTERFACE}": {"node": "0"}, "port second": {**SECOND_PORT, "node": "1"}}


def stats_of(stream):
    stream.sendall(b"stats\r\n")
    text = appliance.read_until(stream, b"END\r\n").decode()
    return dict(line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("STAT "))


@test
def nodes_of_their_own_are_two_servers(_target):
    with started(two_nodes("per-node"), start_both) as target, target.connect(WIRE4) as first, \
            target.connect(SECOND_WIRE4) as second:
        store(first, b"k", b"of node 0")
        exchange(second, b"get k\r\n", b"END\r\n")
        store(second, b"k", b"of node 1")
        store(second, b"l", b"of node 1")
        exchange(first, b"get k\r\n", fetched(b"k", b"of node 0"))
        assert stats_of(first)["curr_items"] == "1" and stats_of(second)["curr_items"] == "2"
        assert stats_of(first)["limit_maxbytes"] == str(32 << 20)
        exchange(second, b"flush_all\r\n", b"OK\r\n")
        exchange(second, b"get k\r\n", b"END\r\n")
        exchange(first, b"get k\r\n", fetched(b"k", b"of node 0"))
        shown = target.json("store", "show")
        assert shown["keyspace"] == "per-node" and shown["limit_bytes"] == 64 << 20, shown
        assert [(c["node"], c["workers"], c["ports"]) for c in shown["caches"]] == [(0, 1, 1), (1, 1, 1)], shown
        assert target.stop() == 0


@test
def unified_is_one_cache_that_counts_remote_accesses(_target):
    with started(two_nodes("unified"), start_both) as target, target.connect(WIRE4) as first, \
            target.connect(SECOND_WIRE4) as second:
        for number in range(200):
            store(first, b"key-%d" % number, b"v")
        for number in range(200):
            exchange(second, b"get key-%d\r\n" % number, fetched(b"key-%d" % number, b"v"))
        shown = target.json("store", "show")
        assert shown["keyspace"] == "unified" and shown["partitions"] == 2 and shown["items"] == 200, shown
        counted = {row["counter"]: row["value"] for row in target.json("stats", "store")}
        assert counted["accesses_local"] + counted["accesses_remote"] == 400, counted
        assert 100 < counted["accesses_remote"] < 300, counted
        assert f"MEMORY   {counted['accesses_local'] / 4:.1f} % of accesses" in target.wirectl("top").stdout.decode()


@test
def requests_at_any_workers_own_port_are_answered(_target):
    with started(two_nodes("unified"), start_both) as target:
        for host in (WIRE4, SECOND_WIRE4):
            for worker in (0, 1):
                target.port = STEERING + 1 + worker
                with target.connect(host) as stream:
                    store(stream, b"k", b"%d" % worker)
                    exchange(stream, b"get k\r\n", fetched(b"k", b"%d" % worker))
        target.port = STEERING
        assert not target.answers(), "the base itself is nobody's port"
        for port in target.json("port", "show"):
            appliance.note(f"{port['port']}: {port['steering']}")
            assert port["steering"] in ("flow rules", "no flow rules: RSS decides"), port
        target.port = appliance.PORT
        said = target.wirectl("status").stdout.decode()
        shown = {port["steering"] for port in target.json("port", "show")}
        assert ("no flow rules" in said) == ("no flow rules: RSS decides" in shown), said


@test
def caches_of_nodes_outlive_a_restart(_target):
    options = two_nodes("per-node")
    options["memory"]["warm_restart"] = "yes"
    with started(options, start_both) as target, target.connect(WIRE4) as first, target.connect(SECOND_WIRE4) as second:
        store(first, b"k", b"of node 0")
        store(second, b"k", b"of node 1")
        assert target.stop() == 0, target.log_tail()
        prefix = target.file_prefix
    try:
        again = Appliance(options)
        again.file_prefix = prefix
        with contextlib.ExitStack() as stack:
            stack.callback(again.remove)
            stack.callback(again.stop)
            start_both(again)
            assert again.json("store", "show")["start"] == "warm", again.log_tail()
            with again.connect(WIRE4) as first, again.connect(SECOND_WIRE4) as second:
                exchange(first, b"get k\r\n", fetched(b"k", b"of node 0"))
                exchange(second, b"get k\r\n", fetched(b"k", b"of node 1"))
    finally:
        plain = Appliance({"memory": {"warm_restart": "no"}})
        plain.file_prefix = prefix
        plain.start()  # removes what was kept
        plain.stop()
        plain.remove()


if __name__ == "__main__":
    appliance.main_standalone()
