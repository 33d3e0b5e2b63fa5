#!/usr/bin/python3
"""The load generator over DPDK: memif to the appliance, every reply verified and none lost; its own end that breaks."""
import json
import os
import subprocess

import appliance
from appliance import BUILD, test
from test_ports import launched, port_options
from test_wireload import EXIT_NOT_SOUND, TRIES

SERVER, OURS = "10.77.1.2", "10.77.1.1/24"
SERVER6, OURS6 = "fd77:1::2", "fd77:1::1/64"
TIMEOUT_S = 300


def memif_path():
    return f"/tmp/wirecache-wireload-{os.getpid()}.sock"


def serving():
    return launched(port_options(f"net_memif0,role=server,socket-abstract=no,socket={memif_path()}",
                                 ipv4=f"{SERVER}/24", ipv6=f"{SERVER6}/64"))


def wireload(target, *options, ours=OURS, server=SERVER):
    """A closed loop over memif; returns what it wrote. Where nobody had a core meanwhile, it is made again."""
    device = f"net_memif0,role=client,socket-abstract=no,socket={memif_path()}"
    for _ in range(TRIES):
        done = subprocess.run(
            [f"{BUILD}/wireload", "--backend=dpdk", f"--address={ours}", f"--server={server}",
             f"--eal=--no-huge --file-prefix={target.file_prefix}-load --vdev={device}", "--keys=500", "--warmup=0",
             "--duration=0.5s", "--timeout=5s", "--progress=no", "--json=-", *options], stdin=subprocess.DEVNULL,
            capture_output=True, timeout=TIMEOUT_S, check=False, preexec_fn=appliance.die_with_parent)
        assert done.returncode in (0, EXIT_NOT_SOUND), f"{done.returncode}: {done.stderr.decode()}"
        counts = json.loads(done.stdout)["result"]["counts"]
        if counts["answered"] > 0:
            break
    assert done.returncode == 0, f"{done.returncode}: {done.stderr.decode()}"
    return counts


def assert_all_right(counts):
    assert counts["answered"] > 0, counts
    for name in ("lost", "wrong", "stale", "broken", "errors", "misses", "reconnects"):
        assert counts[name] == 0, f"{name}: {counts}"


@test
def closed_loop_over_udp_loses_nothing_and_verifies_all(_target):
    with serving() as target:
        assert_all_right(wireload(target, "--transport=udp", "--connections=8", "--pipeline=8", "--get=90", "--set=10"))


@test
def closed_loop_over_tcp_loses_nothing_and_verifies_all(_target):
    with serving() as target:
        assert_all_right(wireload(target, "--connections=100", "--get=90", "--set=10"))
        assert_all_right(wireload(target, "--connections=4", "--per_segment=16", "--pipeline=16", "--multiget=3"))


@test
def values_larger_than_a_segment_come_back_whole(_target):
    with serving() as target:
        assert_all_right(wireload(target, "--connections=4", "--keys=16", "--value_size=300k"))


@test
def connections_that_are_turned_over_each_get_their_reply(_target):
    with serving() as target:
        counts = wireload(target, "--connections=8", "--per_connection=2", "--duration=2s")
        assert_all_right(counts)
        assert counts["turned_over"] > 8, counts


@test
def an_ipv6_server_is_reached_over_tcp(_target):
    with serving() as target:
        assert_all_right(wireload(target, "--connections=4", ours=OURS6, server=SERVER6))


@test
def a_memif_that_nobody_serves_is_said(_target):
    done = subprocess.run(
        [f"{BUILD}/wireload", "--backend=dpdk", f"--eal=--no-huge --file-prefix=wireload-alone-{os.getpid()} "
         f"--vdev=net_memif0,role=client,socket-abstract=no,socket={memif_path()}-none", f"--address={OURS}",
         f"--server={SERVER}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1, done.returncode
    assert b"wireload: port link: cannot start net_memif0" in done.stderr, done.stderr


if __name__ == "__main__":
    appliance.TESTS[:] = [case for case in appliance.TESTS if case.function.__module__ == "__main__"]
    appliance.main_standalone()
