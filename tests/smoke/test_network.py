#!/usr/bin/python3
"""The network below memcached, as the kernel's own tools see it: ping, neighbours, closed ports."""
import re
import socket

import appliance
from appliance import INTERFACE, WIRE4, WIRE6, Skip, must, run, test, wait_for


def ping(host, size):
    """With -w ping goes on until twenty are answered; without, it waits for the last ones only as long as for others."""
    text = must("ping", "-c", "20", "-w", "60", "-i", "0.02", "-s", str(size), host).decode()
    answered = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=", text)]
    assert set(range(1, 21)) <= set(answered), text
    assert "(DUP!)" not in text and "wrong data" not in text, text
    return text


def need_ipv6():
    if not appliance.ipv6_possible():
        raise Skip("this kernel has no IPv6")


@test
def ping_every_size_is_answered(_target):
    for size in (0, 1, 17, 56, 1400, 1472):
        text = ping(WIRE4, size)
    appliance.note("ping with 1472 bytes: " + text.strip().splitlines()[-1])


@test
def ping6_every_size_is_answered(_target):
    need_ipv6()
    for size in (0, 1, 17, 56, 1400, 1452):
        ping(WIRE6, size)


@test(appliance_only=True)
def ping_larger_than_the_link_is_put_together(_target):
    ping(WIRE4, 8000)


@test(appliance_only=True)
def neighbour_forgotten_by_the_host_is_resolved_again(_target):
    for _ in range(3):
        must("ip", "neigh", "flush", "dev", INTERFACE)
        ping(WIRE4, 56)


@test(appliance_only=True)
def host_with_a_new_mac_is_still_reached(target):
    with target.connect() as stream:
        appliance.store(stream, b"mac", b"x")
        must("ip", "link", "set", INTERFACE, "address", "02:00:00:00:77:01")
        wait_for(target.answers, "an answer to the new address", 120)
        appliance.exchange(stream, b"get mac\r\n", appliance.fetched(b"mac", b"x"))


@test(appliance_only=True)
def closed_tcp_port_is_refused(_target):
    for host in [WIRE4] + ([WIRE6] if appliance.ipv6_possible() else []):
        try:
            socket.create_connection((host, 11212), timeout=10).close()
            raise AssertionError("a port that nobody listens on took a connection")
        except ConnectionRefusedError:
            pass


@test(appliance_only=True)
def closed_udp_port_is_reported(_target):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((WIRE4, 11212))
        sock.send(b"anybody?")
        try:
            sock.recv(100)
            raise AssertionError("something answered")
        except ConnectionRefusedError:
            pass


@test(appliance_only=True)
def foreign_address_is_not_answered(_target):
    text = run("ping", "-c", "2", "-i", "0.2", "-W", "1", "10.77.0.3").stdout.decode()
    assert " 0 received" in text, text
    assert must("ip", "neigh", "show", "10.77.0.3").decode().strip().endswith(("FAILED", "INCOMPLETE"))


if __name__ == "__main__":
    appliance.main()
