#!/usr/bin/python3
"""wireload over the kernel's sockets: against memcached, against the appliance, and against a server whose delays are
known. Nothing here says how fast anything is: a latency is only ever compared with what was injected, from below."""
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

import appliance
from appliance import BUILD, WIRE4, Skip, run, test

PEER_PORT = 11311
TRIES = 10
EXIT_NOT_SOUND = 3
SHORT = ("--duration=300ms", "--warmup=50ms", "--timeout=2s", "--tolerance=10s", "--progress=no")


def wireload(*arguments, port=PEER_PORT, server="127.0.0.1", status=0, timeout_s=120):
    """The JSON result. The schedule's tolerance is wide: a shared machine's hiccups decide nothing here. Where nobody had
    a core for as long as the load lasted, nothing is known, and it is made again."""
    for _ in range(TRIES):
        with tempfile.NamedTemporaryFile(suffix=".json") as result:
            done = run(f"{BUILD}/wireload", f"--server={server}", f"--port={port}", f"--json={result.name}", *SHORT,
                       *arguments, timeout_s=timeout_s)
            said = f"wireload {' '.join(arguments)}: {done.returncode} {done.stdout.decode()}"
            assert done.returncode in (status, EXIT_NOT_SOUND), said
            found = json.load(result)
        if "result" not in found or found["result"]["counts"]["replies"] > 0:  # none after preloading only
            break
    assert done.returncode == status, said
    return found


def complaint(*arguments, status):
    done = run(f"{BUILD}/wireload", *arguments)
    text = done.stdout.decode()
    assert done.returncode == status, f"{arguments}: {done.returncode} {text}"
    assert text.startswith("wireload: ") and text.count("\n") == 1, text
    return text


class Peer:
    """Debian's memcached on the loopback interface of this namespace."""

    def __enter__(self):
        self.process = subprocess.Popen(
            ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(PEER_PORT), "-U", str(PEER_PORT), "-m", "256", "-I",
             "2m", "-t", "1"], stdin=subprocess.DEVNULL, preexec_fn=appliance.die_with_parent)
        appliance.wait_for(self.answers, "memcached")
        return self

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", PEER_PORT), timeout=1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def expect_sound(result, *, hits=True):
    point = result["result"]
    counts = point["counts"]
    assert counts["wrong"] == counts["stale"] == counts["broken"] == counts["errors"] == 0, counts
    assert counts["replies"] > 0 and counts["reconnects"] == 0, counts
    assert point["latency_us"]["count"] == counts["answered"] + counts["lost"] + counts["unsent"], counts
    assert counts["scheduled"] == counts["answered"] + counts["lost"] + counts["unsent"], counts
    assert not hits or (counts["misses"] == 0 and counts["hits"] > 0), counts


@test
def every_protocol_over_tcp_is_answered_right(_target):
    with Peer():
        for protocol in ("text", "meta", "binary"):
            for extra in ((), ("--pipeline=16", "--per_segment=16"), ("--multiget=20",), ("--rate=2k",)):
                expect_sound(wireload(f"--protocol={protocol}", "--keys=2k", "--set=20", *extra))


@test
def every_protocol_over_udp_is_answered_right(_target):
    with Peer():
        for protocol in ("text", "meta", "binary"):
            for extra in ((), ("--multiget=10", "--value_size=400"), ("--rate=1k", "--per_segment=4")):
                expect_sound(wireload(f"--protocol={protocol}", "--transport=udp", "--keys=1k", "--set=10",
                                      "--connections=4", *extra))


@test
def whole_mix_with_deletes_gets_no_stale_value(_target):
    with Peer():
        result = wireload("--keys=500", "--get=60", "--set=20", "--add=10", "--delete=10", "--touch=5",
                          "--popularity=zipf", "--threads=2", "--key_size=etc", "--value_size=etc")
        expect_sound(result, hits=False)
        assert result["result"]["counts"]["misses"] > 0


@test
def large_values_go_both_ways_whole(_target):
    with Peer():
        for size in ("100k", "1m"):
            expect_sound(wireload("--keys=20", f"--value_size={size}", "--set=50", "--connections=4"))


@test
def values_of_somebody_else_are_wrong(_target):
    with Peer():
        wireload("--keys=100", "--preload=only")
        result = wireload("--keys=100", "--preload=no", "--value_size=33", status=3)
        assert result["result"]["counts"]["wrong"] == result["result"]["counts"]["hits"] > 0


@test
def the_appliance_is_answered_right(target):
    for transport in ("tcp", "udp"):
        for protocol in ("text", "binary", "meta"):
            expect_sound(wireload(f"--transport={transport}", f"--protocol={protocol}", "--keys=2k", "--set=20",
                                  "--connections=8", port=target.port, server=WIRE4))


@test(appliance_only=True)
def the_appliances_histogram_counts_what_was_answered(target):
    """One connection, one request at a time: what the appliance counts lies between a request's sending and the arrival
    of the next one's reply, so at most half of its values can be above twice what a quarter of wireload's are above."""
    for transport in ("tcp", "udp"):
        aim = ("--keys=500", f"--transport={transport}", "--connections=1", "--pipeline=1", "--timeout=30s")
        wireload(*aim, "--preload=only", port=target.port, server=WIRE4)
        target.json("latency", "reset")
        point = wireload(*aim, "--preload=no", "--warmup=0s", "--duration=1s", port=target.port, server=WIRE4)["result"]
        row = next(row for row in target.json("latency", "show")
                   if (row["transport"], row["command"]) == (transport, "get"))
        assert point["counts"]["lost"] == point["counts"]["unsent"] == 0 and point["counts"]["hits"] > 0, point["counts"]
        assert row["requests"] == point["counts"]["answered"] == point["latency_us"]["count"], (row, point["counts"])
        seen = point["latency_from_send_us"]
        assert 0 < row["p50_ns"] <= 2000 * seen["p90"] and row["p99_ns"] <= 2000 * max(seen["p99_9"], seen["p99"]), \
            (row, seen)


class SlowServer(threading.Thread):
    """Answers gets with a miss, each so long after it came as the list of delays says, in turn."""

    def __init__(self, delays_s):
        super().__init__(daemon=True)
        self.delays_s = delays_s
        self.slow = self.answered = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        stream, _ = self.listener.accept()
        try:
            self.serve(stream)
        except ConnectionResetError:
            pass  # wireload ends its connections with a reset

    def serve(self, stream):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting = b""
        while piece := stream.recv(65536):
            waiting += piece
            *lines, waiting = waiting.split(b"\r\n")
            for _ in lines:
                delay_s = self.delays_s[self.answered % len(self.delays_s)]
                self.slow += delay_s == max(self.delays_s)
                self.answered += 1
                time.sleep(delay_s)
                stream.sendall(b"END\r\n")


@test
def known_delays_are_found_in_the_histogram(_target):
    server = SlowServer([0.002] * 9 + [0.03])
    server.start()
    with tempfile.NamedTemporaryFile(suffix=".hgrm") as hgrm:
        result = wireload("--connections=1", "--preload=no", "--duration=1s", "--warmup=0s", f"--hgrm={hgrm.name}",
                          port=server.port)
        rows = [line.split() for line in open(hgrm.name, encoding="ascii") if line[0] == " "]
    latency = result["result"]["latency_us"]
    assert latency["count"] == result["result"]["counts"]["answered"] > 0
    assert 0 <= server.answered - latency["count"] <= 1, (server.answered, latency)
    assert latency["min"] >= 2000 and latency["p50"] >= 2000, latency
    assert server.slow == 0 or latency["max"] >= 30000, latency
    assert latency["count"] < 20 or latency["p99"] >= 30000, latency
    assert int(rows[-1][2]) == latency["count"], rows[-1]
    below = [int(row[2]) for row in rows if row[0].replace(".", "").isdigit() and float(row[0]) < 30000]
    assert not below or below[-1] <= latency["count"] - server.slow + 1, (below, server.slow)


@test
def open_loop_counts_waiting_from_when_requests_were_due(_target):
    """One connection, 20 ms an answer, 200 a second due: what waits for its turn waits in the latency too."""
    server = SlowServer([0.02])
    server.start()
    point = wireload("--connections=1", "--preload=no", "--warmup=0s", "--duration=500ms", "--rate=200",
                     "--pipeline=1", "--arrivals=constant", "--timeout=100ms", port=server.port)["result"]
    due, sent = point["latency_us"], point["latency_from_send_us"]
    assert point["counts"]["scheduled"] in (99, 100), point["counts"]
    assert point["counts"]["held"] + point["counts"]["unsent"] > 0 or point["counts"]["scheduled"] < 2
    assert sent["count"] < due["count"] and due["p90"] >= 150000, (due, sent)


@test
def nobody_there_is_said_in_one_sentence(_target):
    assert "refused" in complaint("--port=1", status=1)
    assert "address" in complaint("--server=nowhere", status=1)


@test
def senseless_options_are_said_in_one_sentence(_target):
    for option, word in (("--colour=red", "colour"), ("--rate=fast", "rate"), ("--zipf=9", "zipf"), ("-x", "-x"),
                         ("--get=0", "mix"), ("--duration=10", "duration"), ("--arrivals=trace", "trace"),
                         ("--backend=pigeon", "kernel"), ("--value_size=5-1", "value_size"), ("/nowhere.ini", "/nowhere"),
                         ("--ramp=maybe", "ramp")):
        status = 1 if option.startswith(("--backend", "--value_size")) else 2
        assert word in complaint(option, status=status)


@test
def file_is_read_and_flags_win(_target):
    with Peer(), tempfile.NamedTemporaryFile(suffix=".ini", mode="w") as ini:
        ini.write("; a comment\n[load]\nconnections = 3\n[keys]\nkeys = 50\n[mix]\nset = 10\n")
        ini.flush()
        result = wireload(ini.name, "--connections=5")
        assert result["target"]["connections"] == 5
        expect_sound(result)
        ini.write("[load]\nkeys = 9\n")
        ini.flush()
        assert "[keys]" in complaint(ini.name, status=2)


@test
def ramp_ends_with_a_rate_and_a_curve(_target):
    with Peer(), tempfile.TemporaryDirectory() as directory:
        plots = ("--plot=" + os.path.join(directory, "it's a curve"),) if appliance.shutil.which("gnuplot") else ()
        result = wireload("--ramp", "--p99=10s", "--loss=1", "--ramp_from=1k", "--ramp_precision=0.5", "--curve=3",
                          "--duration=50ms", "--warmup=0s", "--keys=100", *plots, timeout_s=300)
        found = result["ramp"]["found"]  # a machine that is busy elsewhere may keep no rate at all
        assert result["ramp"]["rate"] == (result["result"]["rate"] if found else 0), result["ramp"]
        assert all(point["rate"] >= 1000 for point in result["points"][:2]) and len(result["points"]) >= 2
        if not plots:
            raise Skip("no gnuplot; the search itself passed")
        for suffix, magic in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
            with open(plots[0][len("--plot="):] + suffix, "rb") as plot:
                assert plot.read(5).startswith(magic[:4])


if __name__ == "__main__":
    appliance.main()
