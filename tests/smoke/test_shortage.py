#!/usr/bin/python3
"""An appliance with few packet buffers: what takes them is bounded or got over, and everybody is served afterwards."""
import os
import socket
import struct

import appliance
from appliance import HOST4, INTERFACE, PORT, WIRE4, exchange, fetched, must, store, wait_for
from hostile import ETHER_IP4, Wire, harmless, icmp4, ip4, serves, worker_sum

MBUFS = 400
FRAGMENTED = 4000
MORE_FRAGMENTS = 0x2000
ECHO_REQUEST = 8
CLIENTS = 50
OPTIONS = {"workers": {"count": 1, "mbufs": MBUFS},
           f"port {INTERFACE}": {"rx_descriptors": 64, "tx_descriptors": 64}}


def buffers_missed(target):
    return target.json("port", "show")[0]["rx_dropped_no_buffer"]


def answers_everything(target):
    """ARP, ping, `stats` and a new connection; ping and ARP as often as it takes."""
    must("ip", "neigh", "flush", "dev", INTERFACE)
    wait_for(lambda: appliance.run("ping", "-c", "1", "-W", "1", WIRE4).returncode == 0, "an answer to ping")
    assert "curr_connections" in target.stats()
    serves(target)


@harmless
def fragments_leave_buffers_for_others(target):
    wire, missed = Wire(), buffers_missed(target)
    least = worker_sum(target, "mbufs_free")
    for ident in range(FRAGMENTED):
        for offset in (0, 1400):
            wire.send(ETHER_IP4, ip4(17, bytes(1400), ident, MORE_FRAGMENTS | offset // 8))
        if ident % 200 == 0:
            least = min(least, worker_sum(target, "mbufs_free"))
    appliance.note(f"of {MBUFS} buffers {least} were free at least when looked at")
    assert buffers_missed(target) == missed
    answers_everything(target)


@harmless
def replies_to_hops_that_never_answer_take_every_buffer_and_are_got_over(target):
    """Pings from addresses that nobody has: the replies wait for ARP, in the buffers that the pings came in."""
    wire, missed = Wire(), buffers_missed(target)
    sources = [f"{HOST4.rsplit('.', 1)[0]}.{number}" for number in range(10, 200)]

    def every_buffer_was_taken():
        for source in sources * 4:
            wire.send(ETHER_IP4, ip4(1, icmp4(ECHO_REQUEST, 0, 0, bytes(1400)), source=source))
        return buffers_missed(target) > missed
    with target.connect() as there_before:
        wait_for(every_buffer_was_taken, "the port to find no buffer")
        answers_everything(target)
        exchange(there_before, b"get nothing\r\n", b"END\r\n")


@harmless
def replies_larger_than_all_buffers_are_sent(target):
    value = os.urandom(1000) * 900
    with target.connect() as stream:
        store(stream, b"large", value)
    streams = [target.connect() for _ in range(CLIENTS)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((WIRE4, PORT))
        for stream in streams:
            stream.sendall(b"get large\r\n")
            sock.send(struct.pack("!HHHH", 1, 0, 1, 0) + b"get large\r\n" * 20)
        for stream in streams:
            assert appliance.read_exactly(stream, len(fetched(b"large", value))) == fetched(b"large", value)
            stream.close()
    answers_everything(target)


if __name__ == "__main__":
    appliance.main(OPTIONS)
