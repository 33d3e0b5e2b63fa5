#!/usr/bin/python3
"""A memif peer that leaves under load, in turn of its own accord and killed. Not part of `make test`: DPDK 22.11's driver
frees what workers may be using, and although dataplane/unmap.c closes the gap that was found, about one departure in forty
still ended the process. `make stress-memif` runs it.
"""
import os
import shutil
import subprocess

import appliance
from appliance import BUILD, Skip, test, wait_for
from test_ports import launched, port_options

PEERS = 6


def free_hugepages():
    try:
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as free:
            return int(free.read()) if appliance.hugetlbfs_mounts() else 0
    except OSError:
        return 0


def memif_sender(path, prefix, zero_copy, seconds):
    """The peer: asks for values as fast as it can, over shared memory."""
    memory = "" if zero_copy else "--no-huge"
    device = f"net_memif0,role=client,socket-abstract=no,socket={path}" + (",zero-copy=yes" if zero_copy else "")
    return subprocess.Popen(
        [f"{BUILD}/wireload", "--backend=dpdk", f"--eal=-l 0 --file-prefix={prefix} --vdev={device} {memory}",
         "--server=10.77.1.2", "--address=10.77.1.1/24", "--transport=udp", "--connections=16", "--pipeline=64",
         "--keys=1000", f"--duration={seconds}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, preexec_fn=appliance.die_with_parent)


@test
def memif_peer_that_leaves_under_load_is_survived(_target):
    if not os.access(f"{BUILD}/wireload", os.X_OK):
        raise Skip("the sender is not built: make build/wireload")
    path = f"/tmp/wirecache-memif-{os.getpid()}.sock"
    options = port_options(f"net_memif0,role=server,socket-abstract=no,socket={path}", ipv4="10.77.1.2/24", ipv6=None)
    zero_copy = free_hugepages() >= 256
    if zero_copy:  # a peer whose own memory is mapped here takes the most with it
        options.update({"wirecache": {"eal_args": "--single-file-segments"},
                        "memory": {"hugepages": "auto", "limit": "32m"}})
    appliance.note("with zero copy" if zero_copy else "without zero copy: too few hugepages are free")
    with launched({**options, "workers": {"idle": "spin"}}) as target:
        for number in range(PEERS):
            prefix = f"{target.file_prefix}-peer{number}"
            peer = memif_sender(path, prefix, zero_copy, 1 if number % 2 == 0 else 60)
            before = target.json("port", "show")[0]["tx_packets"]
            try:
                wait_for(lambda: not target.alive() or target.json("port", "show")[0]["tx_packets"] > before + 20000,
                         "answers to the peer", 60)
                if number % 2 == 0:
                    peer.wait(60)  # it takes its leave; the others are killed
            finally:
                peer.kill()
                peer.wait()
                shutil.rmtree(f"/var/run/dpdk/{prefix}", ignore_errors=True)
                for mount in appliance.hugetlbfs_mounts():
                    for name in os.listdir(mount):
                        if name.startswith(prefix):
                            os.unlink(os.path.join(mount, name))
            wait_for(lambda: not target.alive() or target.json("port", "show")[0]["link"] == "down", "the link's end")
            assert target.alive(), f"died with its peer {number}: {target.process.returncode}\n{target.log_tail()}"


if __name__ == "__main__":
    appliance.TESTS[:] = [case for case in appliance.TESTS if case.function is memif_peer_that_leaves_under_load_is_survived]
    appliance.main_standalone()
