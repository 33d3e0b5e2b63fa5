#!/usr/bin/python3
"""Starting and ending: refused configurations, signals, crashes, and that nothing is left behind."""
import os
import signal
import socket
import time

import appliance
from appliance import BUILD, Appliance, Skip, fetched, run, started, store, test

EXIT_CONFIGURATION = 2


def refused(options, *said):
    """Starts with a configuration that must be refused, and checks what is said about it."""
    target = Appliance(options)
    target.launch()
    try:
        status = target.process.wait(timeout=60)
        log = target.log_tail()
        assert status > 0, f"ended with {status}:\n{log}"
        for word in said:
            assert word in log, f"no '{word}' in:\n{log}"
        assert target.leftovers() == [], target.leftovers()
        return status
    finally:
        runs = target.alive()
        if runs:
            target.stop(signal.SIGKILL)
        target.remove()
        assert not runs, "it runs with a configuration that makes no sense"


@test
def unknown_key_is_refused_with_a_proposal(_target):
    assert refused({"memory": {"limitt": "64m"}}, "limitt", "limit") == EXIT_CONFIGURATION


@test
def value_out_of_range_is_refused(_target):
    assert refused({"memory": {"limit": "1k"}}, "limit") == EXIT_CONFIGURATION
    assert refused({"tcp": {"port": "65536"}}, "port") == EXIT_CONFIGURATION
    assert refused({"memory": {"hugepages": "perhaps"}}, "hugepages") == EXIT_CONFIGURATION


@test
def shutdown_by_a_client_ends_in_order_where_enabled(_target):
    with started({"commands": {"shutdown": "yes"}}) as target:
        with target.connect() as stream:
            store(stream, b"last", b"words")
            stream.sendall(b"shutdown\r\n")
            assert target.process.wait(timeout=30) == 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()
    with started() as target, target.connect() as stream:
        appliance.exchange(stream, b"shutdown\r\n", b"SERVER_ERROR: shutdown not enabled\r\n")


@test
def unknown_section_is_refused(_target):
    assert refused({"memoria": {"limit": "64m"}}, "memoria") == EXIT_CONFIGURATION


@test
def malformed_address_is_refused(_target):
    port = f"port {appliance.INTERFACE}"
    assert refused({port: {"ipv4": "10.77.0.256/24"}}, "10.77.0.256") == EXIT_CONFIGURATION
    assert refused({port: {"ipv4": "10.77.0.2/33"}}, "10.77.0.2/33") == EXIT_CONFIGURATION


@test
def device_that_does_not_exist_is_refused(_target):
    refused({f"port {appliance.INTERFACE}": {"device": "net_nosuch0"}}, "net_nosuch0")


@test
def pci_device_without_hugepages_is_refused(_target):
    port = {f"port {appliance.INTERFACE}": {"device": "0000:ff:1f.7"}}
    refused({**port, "memory": {"hugepages": "off"}}, "hugepages")


@test
def missing_file_is_refused(_target):
    done = run(f"{BUILD}/wirecached", "-c", "/nonexistent/wirecache.conf")
    assert done.returncode == EXIT_CONFIGURATION, done.returncode
    assert b"/nonexistent/wirecache.conf" in done.stdout, done.stdout


@test
def sigterm_ends_cleanly_nothing_stays(_target):
    with started() as target:
        with target.connect() as stream:
            store(stream, b"k", b"v")
            assert target.stop() == 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()


@test
def connections_above_the_limit_are_told_so_and_take_no_place(_target):
    with started({"tcp": {"connections_max": "3"}}) as target:
        kept = [target.connect() for _ in range(3)]
        for stream in kept:
            store(stream, b"key", b"value")
        for _ in range(5):
            refused_stream = target.connect()
            assert appliance.read_to_eof(refused_stream) == b"ERROR Too many open connections\r\n"
            kept.append(refused_stream)  # its own end stays open
        kept.pop(0).close()
        appliance.wait_for(lambda: int(target.json("worker", "show")[0]["connections"]) < 8, "the end of one")
        with target.connect() as stream:
            store(stream, b"key", b"value")


@test
def sigterm_resets_idle_connections(_target):
    with started() as target:
        with target.connect() as stream:
            store(stream, b"key", b"value")
            assert target.stop() == 0
            try:
                said = stream.recv(1)
            except ConnectionResetError:
                return
            raise AssertionError(f"not reset, but told {said!r}")


@test
def sigint_ends_cleanly_nothing_stays(_target):
    with started() as target:
        assert target.stop(signal.SIGINT) == 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()


@test
def sigterm_under_load_ends_cleanly(_target):
    with started() as target:
        value = b"x" * 100_000
        with target.connect() as stream:
            store(stream, b"k", value)
        streams = [target.connect() for _ in range(50)]
        for stream in streams:
            stream.sendall(b"get k\r\n" * 20)
        assert target.stop() == 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()
        for stream in streams:
            stream.close()


@test
def start_again_after_kill_works(_target):
    with started() as target:
        target.stop(signal.SIGKILL)
        target.start()
        with target.connect() as stream:
            store(stream, b"k", b"again")
        assert target.stop() == 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()


@test
def second_instance_is_refused_first_goes_on(_target):
    with started() as target:
        second = Appliance()
        second.socket_path, second.file_prefix = target.socket_path, target.file_prefix
        second.launch()
        status = second.process.wait(timeout=60)
        assert status > 0, f"ended with {status}:\n{second.log_tail()}"
        assert second.log_tail().strip(), "ended without a word"
        second.remove()
        assert target.wirectl("status").returncode == 0
        with target.connect() as stream:
            store(stream, b"k", b"still here")


@test
def two_appliances_side_by_side_do_not_meet(_target):
    with started() as target:
        other = Appliance()
        other.options = {f"port {appliance.INTERFACE}": {"device": "net_tap0,iface=wire1", "ipv4": "10.78.0.2/24",
                                                         "ipv6": None}}
        other.launch()
        try:
            appliance.wait_for(lambda: not other.alive() or appliance.has_interface("wire1"), "wire1", 60)
            assert other.alive(), other.log_tail()
            appliance.must("ip", "address", "add", "10.78.0.1/24", "dev", "wire1")
            appliance.must("ip", "link", "set", "wire1", "up")
            with target.connect() as stream:
                store(stream, b"where", b"first")
            appliance.wait_for(lambda: connects("10.78.0.2"), "the second appliance", 60)
            with socket.create_connection(("10.78.0.2", appliance.PORT), timeout=30) as stream:
                appliance.exchange(stream, b"get where\r\n", b"END\r\n")
        finally:
            other.stop()
            other.remove()


def connects(host):
    try:
        socket.create_connection((host, appliance.PORT), timeout=1).close()
        return True
    except OSError:
        return False


def cpu_s(pid):
    """Seconds of CPU that a process has used, its threads together."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@test
def idle_appliance_leaves_the_core_to_others(_target):
    with started() as target:
        def idles():
            before, begin = cpu_s(target.process.pid), time.monotonic()
            time.sleep(3)
            share = (cpu_s(target.process.pid) - before) / (time.monotonic() - begin)
            appliance.note(f"idle appliance: {share * 100:.1f} % of a core")
            return share < 0.15
        # Not at once: neighbour discovery of the new interface is under way. What spins spins each time.
        appliance.wait_for(idles, "less than 15 % of a core", 60)


@test
def hugepages_are_used_when_free_and_given_back(_target):
    free = free_hugepages()
    if free * 2 < 100:
        raise Skip(f"{free} free hugepages of 2 MiB; this test wants 50 (scripts/hugepages 256)")
    if not appliance.hugetlbfs_mounts():
        raise Skip("hugetlbfs is mounted nowhere (scripts/hugepages 256 mounts it)")
    with started({"memory": {"limit": "16m", "hugepages": "on"}, "workers": {"mbufs": "8192"}}) as target:
        with target.connect() as stream:
            store(stream, b"k", b"on huge pages")
            appliance.exchange(stream, b"get k\r\n", fetched(b"k", b"on huge pages"))
        assert target.json("store", "show")["hugepages"] is True
        assert target.stop() == 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()


@test
def hugepages_that_are_not_there_are_refused_when_asked_for(_target):
    more = (free_hugepages() * 2 + 1024) // 1024 + 1
    refused({"memory": {"limit": f"{more}g", "hugepages": "on"}}, "hugepages")


@test
def automatic_hugepages_work_either_way(_target):
    with started({"memory": {"hugepages": "auto"}}) as target:
        with target.connect() as stream:
            store(stream, b"k", b"on whatever pages")


def free_hugepages():
    try:
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as free:
            return int(free.read())
    except OSError:
        return 0


if __name__ == "__main__":
    appliance.main_standalone()
