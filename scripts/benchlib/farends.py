"""Whom the generator speaks to: the appliance, and its peers. Each serves on core FAR_CPU while it is up."""
import os
import pathlib
import shutil
import socket
import tempfile

from benchlib import machine
from benchlib.machine import FAR_CPU, OUR_CPU

APPLIANCE_ADDRESS, MEMCACHED_PORT = "10.77.0.1", 21211
PACKET_MIB = 256  # hugepages of one DPDK program for packets
ROUNDED_UP = 1.25  # memory of a cache, for the data that shall fit

CONFIG = """\
[wirecache]
instance = {instance}
eal_args = --single-file-segments
[workers]
count = 1
cpus = {cpu}
control_cpu = {control}
idle = spin
[memory]
limit = {limit}m
item_max = 2m
[tcp]
port = 11211
[udp]
port = 11211
[control]
socket = {directory}/control.sock
[port link]
device = net_memif0,role=server,socket={directory}/memif.sock,socket-abstract=no,rsize=11
ipv4 = {address}/16
rx_descriptors = 2048
tx_descriptors = 2048
"""


class FarEnd:
    """A program behind a link. `target` are the generator's options that lead to it."""

    keeps = False  # goes on living, asleep, between the rounds
    fragile = False  # cannot be relied on after its peer has left
    hugepages_mib = 0

    def __init__(self, build):
        self.build = pathlib.Path(build)
        self.directory = self.program = None
        self.runs = 0

    def up(self):
        if self.program:
            self.program.go_on()
            return
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="wirecache-bench-"))
        self.start()

    def down(self, last=True):
        if not self.program:
            return
        if self.keeps and not last:
            self.program.pause()
            return
        self.program.end()
        self.program = None
        shutil.rmtree(self.directory)

    def memif(self, role, more=""):
        return f"net_memif0,role={role},socket={self.directory}/memif.sock,socket-abstract=no,rsize=11{more}"

    def start_memif(self, command, log):
        self.program = machine.Program(command, self.directory / log)
        self.program.wait_until((self.directory / "memif.sock").exists, "memif socket")
        self.program.keep_core(FAR_CPU)

    def target_memif(self):
        """Each run comes from an address of its own, so that nothing of the last one is in its way."""
        self.runs += 1
        return {"backend": "dpdk", "realtime": "yes", "server": APPLIANCE_ADDRESS,
                "address": f"10.77.{self.runs % 255 + 1}.1/16",
                "eal": f"-l {OUR_CPU} --file-prefix={machine.name('load')} "
                       f"--vdev={self.memif('client', ',zero-copy=yes')}"}


class Appliance(FarEnd):
    name = "cache"

    def __init__(self, build, data_mib=192):
        super().__init__(build)
        self.limit_mib = max(256, int(data_mib * ROUNDED_UP))
        self.hugepages_mib = self.limit_mib + PACKET_MIB

    def start(self):
        config = self.directory / "wirecache.conf"
        config.write_text(CONFIG.format(directory=self.directory, instance=machine.name(self.name),
                                        limit=self.limit_mib, cpu=FAR_CPU, control=OUR_CPU, address=APPLIANCE_ADDRESS))
        self.start_memif([self.build / "wirecached", "-c", config], "wirecached.log")

    target = FarEnd.target_memif


class FullAppliance(Appliance):
    """Holds far more than the caches; filled once, and asleep while others are measured."""

    keeps = True
    name = "full"


class Testpmd(FarEnd):
    """DPDK's own forwarder: what the link carries with no protocol behind it."""

    hugepages_mib = PACKET_MIB
    fragile = True  # memif of DPDK 22.11 crashes when the peer leaves while testpmd forwards
    mode, more = "5tswap", []

    def start(self):
        self.start_memif(
            ["dpdk-testpmd", "-l", f"{OUR_CPU},{FAR_CPU}", "--main-lcore", OUR_CPU, "--file-prefix", machine.name("peer"),
             "--single-file-segments", "--no-pci", "--vdev", self.memif("server"), "--log-level", "*:warning", "-m",
             PACKET_MIB, "--", f"--forward-mode={self.mode}", "--stats-period", 3600, "--nb-cores=1",
             "--total-num-mbufs=16384", "--rxd=2048", "--txd=2048", *self.more], "testpmd.log")

    def target(self):
        return {**self.target_memif(), "transport": "udp", "reflect": "yes"}


class TestpmdSource(Testpmd):
    """Sends full Ethernet frames as fast as it can."""

    mode, more = "txonly", ["--txpkts=1514"]


class Memcached(FarEnd):
    def start(self):
        self.program = machine.Program(
            ["taskset", "-c", FAR_CPU, "memcached", "-u", "root", "-t", "1", "-m", "1024", "-I", "2m", "-c", "16384", "-l",
             "127.0.0.1", "-p", MEMCACHED_PORT, "-U", MEMCACHED_PORT], self.directory / "memcached.log")
        self.program.wait_until(answers, "answer")

    def target(self):
        return {"backend": "kernel", "server": "127.0.0.1", "port": MEMCACHED_PORT, "cpus": OUR_CPU}


def answers():
    try:
        with socket.create_connection(("127.0.0.1", MEMCACHED_PORT), 0.2):
            return True
    except OSError:
        return False


def dram_keys(item_bytes):
    """Keys whose items take ten times the last cache, or two fifths of the memory that is free if that is less."""
    data = min(10 * machine.l3_bytes(), machine.memory_free_bytes() * 2 // 5)
    return int(os.environ.get("BENCH_DRAM_KEYS", data // item_bytes))
