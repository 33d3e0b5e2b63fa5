#!/usr/bin/python3
"""Ports other than TAP: kernel interfaces through af_packet and af_xdp, memif, a ring, virtio-user's refusal."""
import contextlib
import os
import time

import appliance
from appliance import HOST4, WIRE4, Appliance, Skip, fetched, must, run, store, test, wait_for

FAR, NEAR = "veth-far", "veth-near"
IDLE_S = 2
IDLE_SHARE_MAX = 0.15  # generous: what is promised is 0.05, measured where nothing else runs


def port_options(device, **more):
    return {f"port {appliance.INTERFACE}": {"device": device, **more}}


@contextlib.contextmanager
def veth():
    """A pair whose far end has HOST4; DPDK takes the near end."""
    must("ip", "link", "add", FAR, "type", "veth", "peer", "name", NEAR)
    try:
        must("ip", "address", "add", f"{HOST4}/24", "dev", FAR)
        for name in (FAR, NEAR):
            must("ip", "link", "set", name, "up")
        # The kernel leaves checksums of a veth to hardware that is not there.
        must("ethtool", "-K", FAR, "tx", "off")
        yield
    finally:
        run("ip", "link", "delete", FAR)


@contextlib.contextmanager
def launched(options):
    target = Appliance(options)
    try:
        target.launch()
        wait_for(lambda: not target.alive() or target.wirectl("version").returncode == 0, "the control socket", 60)
        assert target.alive(), target.log_tail()
        yield target
        assert target.stop() == 0
        assert target.leftovers() == [], target.leftovers()
    finally:
        if target.alive():
            target.stop()
        target.remove()


def driver(target):
    return target.json("port", "show")[0]["driver"]


def stays_idle(target):
    """A port without traffic must not keep its worker busy: a descriptor that is never read would."""
    stat = f"/proc/{target.process.pid}/stat"

    def ticks():
        with open(stat, encoding="ascii") as file:
            return sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
    def idles():
        begin = ticks()
        time.sleep(IDLE_S)
        share = (ticks() - begin) / os.sysconf("SC_CLK_TCK") / IDLE_S
        appliance.note(f"{driver(target)}: {share:.1%} of a core while idle")
        return share < IDLE_SHARE_MAX
    wait_for(idles, f"less than {IDLE_SHARE_MAX:.0%} of a core", 20 * IDLE_S)  # what spins spins each time


def serves(target):
    must("ping", "-c", "3", "-w", "60", "-i", "0.1", WIRE4)
    with target.connect() as stream:
        store(stream, b"key", b"value" * 1000)
        appliance.exchange(stream, b"get key\r\n", fetched(b"key", b"value" * 1000))


@test
def af_packet_on_a_veth_serves(_target):
    with veth(), launched(port_options(f"net_af_packet0,iface={NEAR}")) as target:
        serves(target)
        assert driver(target) == "net_af_packet"
        stays_idle(target)


@test
def af_xdp_on_a_veth_serves(_target):
    with veth():
        try:
            with launched(port_options(f"net_af_xdp0,iface={NEAR}")) as target:
                serves(target)
                assert driver(target) == "net_af_xdp"
                stays_idle(target)
        except AssertionError as error:
            if "could not be made" in str(error) or "cannot set up" in str(error):
                raise Skip(f"this kernel takes no XDP program: {error}"[:200]) from None
            raise


@test
def memif_waits_for_its_peer_idle(_target):
    with launched(port_options("net_memif0,role=server,socket-abstract=no,socket=/tmp/"
                               f"wirecache-memif-{os.getpid()}.sock")) as target:
        assert driver(target) == "net_memif"
        status = target.json("port", "show")[0]
        assert status["link"] == "down", status
        stays_idle(target)


@test
def ring_gets_an_address_of_its_own(_target):
    with launched(port_options("net_ring0")) as target:
        assert driver(target) == "net_ring"
        assert target.json("port", "show")[0]["mac"] != "00:00:00:00:00:00"
        stays_idle(target)


def refusal(options):
    target = Appliance(options)
    target.launch()
    try:
        assert target.process.wait(timeout=60) > 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()
        return target.log_tail()
    finally:
        if target.alive():
            target.stop()
        target.remove()


@test
def more_workers_than_queues_is_refused(_target):
    with veth():
        said = refusal({**port_options(f"net_af_packet0,iface={NEAR}"), "workers": {"count": "2"}})
    assert "2 workers" in said and "set workers.count to 1" in said, said


@test
def virtio_user_without_a_backend_is_refused(_target):
    said = refusal(port_options("net_virtio_user0,path=/nonexistent/vhost.sock"))
    assert "net_virtio_user0" in said and "could not be made" in said, said


@test
def mtu_beyond_the_device_is_refused(_target):
    with veth():
        said = refusal(port_options(f"net_af_packet0,iface={NEAR}", mtu="9000"))
    assert "takes an mtu of 1500 at most" in said, said


if __name__ == "__main__":
    appliance.main_standalone()
