#!/usr/bin/python3
"""TCP as awkward clients use it: huge, tiny, pipelined, half closed, silent, many, and dying in the middle."""
import hashlib
import os
import signal
import subprocess
import sys
import threading

import appliance
from appliance import WIRE6, exchange, fetched, read_exactly, read_to_eof, store, test, wait_for

MIB = 1 << 20
BIGGEST = MIB - 512  # with key and header just below the limit


def send_in_background(stream, data):
    """Sends without waiting for answers; a peer that reads late must not stop the test itself."""
    thread = threading.Thread(target=stream.sendall, args=(data,), daemon=True)
    thread.start()
    return thread


def pattern(length, seed):
    """Bytes that repeat nowhere at a packet's distance, so that a lost or doubled piece shows."""
    return hashlib.shake_128(b"%d" % seed).digest(length)


@test
def megabyte_values_come_back_unchanged(target):
    with target.connect() as stream:
        values = [pattern(BIGGEST, seed) for seed in range(8)]
        for number, value in enumerate(values):
            store(stream, b"big%d" % number, value)
        for number, value in enumerate(values):
            stream.sendall(b"get big%d\r\n" % number)
            answer = fetched(b"big%d" % number, value)
            assert read_exactly(stream, len(answer)) == answer, f"value {number} came back changed"


def segments_pointing(target):
    return next(row["value"] for row in target.json("stats", "net") if row["counter"] == "tcp_pointing_out")


@test(appliance_only=True)
def segments_of_large_values_point_to_the_store(target):
    before = segments_pointing(target)
    with target.connect() as stream:
        value = pattern(BIGGEST, 9)
        store(stream, b"lies", value)
        exchange(stream, b"get lies\r\n", fetched(b"lies", value))
        stream.sendall(b"get lies\r\n" * 8)  # and what was not read when its client is gone
        assert read_exactly(stream, BIGGEST)
    assert segments_pointing(target) - before > BIGGEST // 1500 // 2, "most of them were copied"
    with target.connect() as stream:
        exchange(stream, b"get lies\r\n", fetched(b"lies", value))


@test
def twenty_megabytes_pipelined_are_all_delivered(target):
    with target.connect() as stream:
        value = pattern(100_000, 1)
        store(stream, b"large", value)
        answer = fetched(b"large", value)
        sender = send_in_background(stream, b"get large\r\n" * 200)
        for number in range(200):
            assert read_exactly(stream, len(answer)) == answer, f"answer {number} is wrong"
        sender.join()


@test
def ten_thousand_gets_in_one_go_are_answered_in_order(target):
    with target.connect() as stream:
        for number in range(100):
            store(stream, b"pipe%d" % number, b"value %d" % number)
        request = b"".join(b"get pipe%d\r\n" % (i % 100) for i in range(10_000))
        answer = b"".join(fetched(b"pipe%d" % (i % 100), b"value %d" % (i % 100)) for i in range(10_000))
        sender = send_in_background(stream, request)
        assert read_exactly(stream, len(answer)) == answer
        sender.join()


@test
def thousand_keys_in_one_get_end_once(target):
    with target.connect() as stream:
        keys = [b"k%04d" % i for i in range(1000)]
        for key in keys[::2]:
            store(stream, key, key)
        answer = b"".join(b"VALUE %s 0 5\r\n%s\r\n" % (key, key) for key in keys[::2]) + b"END\r\n"
        exchange(stream, b"get " + b" ".join(keys) + b"\r\n", answer)


@test
def request_byte_by_byte_is_understood(target):
    with target.connect() as stream:
        for byte in b"set slow 7 0 6\r\nab\r\ncd\r\nget slow\r\n":
            stream.sendall(bytes([byte]))
        answer = b"STORED\r\nVALUE slow 7 6\r\nab\r\ncd\r\nEND\r\n"
        assert read_exactly(stream, len(answer)) == answer


@test
def half_closed_client_still_gets_all_answers(target):
    with target.connect() as stream:
        value = pattern(50_000, 2)
        store(stream, b"half", value)
        stream.sendall(b"get half\r\n" * 20)
        stream.shutdown(1)
        assert read_to_eof(stream) == fetched(b"half", value) * 20


@test
def quit_closes_after_earlier_answers(target):
    with target.connect() as stream:
        stream.sendall(b"set quits 0 0 1\r\nx\r\nget quits\r\nquit\r\nget quits\r\n")
        assert read_to_eof(stream) == b"STORED\r\n" + fetched(b"quits", b"x")


@test
def noise_is_refused_others_are_served(target):
    noise = pattern(20_000, 3).replace(b"\n", b" ")
    with target.connect() as other:
        for _ in range(20):
            with target.connect() as stream:
                try:
                    stream.sendall(noise)
                    read_to_eof(stream)
                except ConnectionError:
                    pass  # reset is as good an answer as close
        store(other, b"after-noise", b"fine")


@test
def client_that_never_reads_delays_nobody(target):
    with target.connect() as other, target.connect() as stuck:
        value = pattern(100_000, 4)
        store(other, b"stuck", value)
        send_in_background(stuck, b"get stuck\r\n" * 2000)
        answer = fetched(b"stuck", value)
        for _ in range(300):
            exchange(other, b"get stuck\r\n", answer)


@test
def hundred_clients_that_never_read_leave_memory_for_others(target):
    value = pattern(500_000, 5)
    with target.connect() as first:
        store(first, b"hoard", value)
    hoarders = [target.connect() for _ in range(100)]
    for stream in hoarders:
        stream.sendall(b"get hoard\r\n" * 50)
    with target.connect() as other:
        store(other, b"beside", b"x")
        for _ in range(1000):
            exchange(other, b"get beside\r\n", fetched(b"beside", b"x"))
    for stream in hoarders:
        stream.close()


@test
def thousand_connections_are_served_together(target):
    before = int(target.stats()["curr_connections"])
    streams = [target.connect() for _ in range(1000)]
    for number, stream in enumerate(streams):
        stream.sendall(b"set conn%d 0 0 %d\r\n%d\r\n" % (number, len(str(number)), number))
    for stream in streams:
        assert read_exactly(stream, 8) == b"STORED\r\n"
    for number, stream in enumerate(streams):
        other = (number + 500) % 1000
        exchange(stream, b"get conn%d\r\n" % other, fetched(b"conn%d" % other, b"%d" % other))
    assert int(target.stats()["curr_connections"]) >= before + 1000 - 100
    for stream in streams:
        stream.close()
    wait_for(lambda: int(target.stats()["curr_connections"]) <= before, "the connections to go")


def held(target):
    """Connections and packet buffers that the appliance holds now, over all workers."""
    workers = target.json("worker", "show")
    return (sum(w["connections"] for w in workers), sum(w["mbufs"] - w["mbufs_free"] for w in workers))


@test
def five_thousand_short_connections_leave_nothing(target):
    with target.connect() as stream:
        store(stream, b"churn", b"x")
    measured = appliance.TARGET == "wirecached"
    before = held(target) if measured else None
    for number in range(5000):
        with target.connect() as stream:
            exchange(stream, b"get churn\r\n", fetched(b"churn", b"x"))
            if number % 2:
                stream.sendall(b"quit\r\n")
                assert read_to_eof(stream) == b""
    total = int(target.stats()["total_connections"])
    assert total >= 5000, total
    if measured:
        # A burst's worth of buffers may wait in a ring or a cache; thousands of connections would show.
        wait_for(lambda: held(target)[0] <= before[0] and held(target)[1] <= before[1] + 256,
                 f"connections and buffers to return to {before}")
        appliance.note(f"connections and buffers held before {before}, after {held(target)}")


CHILD = """
import socket, sys, time
stream = socket.create_connection((sys.argv[1], int(sys.argv[2])))
stream.sendall(b"get killed\\r\\n" * 500 + b"set killed 0 0 1000\\r\\nonly some")
print("sent", flush=True)
time.sleep(600)
"""


@test
def killed_client_gives_its_connection_back(target):
    with target.connect() as stream:
        store(stream, b"killed", pattern(10_000, 6))
    before = int(target.stats()["curr_connections"])
    children = [subprocess.Popen([sys.executable, "-c", CHILD, appliance.WIRE4, str(target.port)],
                                 stdout=subprocess.PIPE) for _ in range(10)]
    for child in children:
        assert child.stdout.readline() == b"sent\n"
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    wait_for(lambda: int(target.stats()["curr_connections"]) <= before, "the dead clients' connections to go")
    with target.connect() as stream:
        exchange(stream, b"get killed\r\n", fetched(b"killed", pattern(10_000, 6)))


@test
def ipv6_client_sees_the_same_cache(target):
    if not appliance.ipv6_possible():
        raise appliance.Skip("this kernel has no IPv6")
    value = pattern(300_000, 7)
    with target.connect() as four, target.connect(WIRE6) as six:
        store(six, b"six", value)
        exchange(four, b"get six\r\n", fetched(b"six", value))
        store(four, b"four", value)
        exchange(six, b"get four\r\n", fetched(b"four", value))


@test
def item_larger_than_the_limit_is_swallowed_and_refused(target):
    with target.connect() as stream:
        store(stream, b"toobig", b"old")
        sender = send_in_background(stream, b"set toobig 0 0 2000000\r\n" + b"x" * 2_000_000 + b"\r\nget toobig\r\n")
        answer = b"SERVER_ERROR object too large for cache\r\nEND\r\n"
        assert read_exactly(stream, len(answer)) == answer
        sender.join()


if __name__ == "__main__":
    appliance.main()
