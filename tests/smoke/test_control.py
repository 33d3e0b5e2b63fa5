#!/usr/bin/python3
"""wirectl against a running appliance: every noun as text and as JSON, and its exit codes."""
import json
import os
import re
import socket

import appliance
from appliance import BUILD, run, test

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE = 0, 1, 2, 3
NOUNS = (("status",), ("stats",), ("stats", "drops"), ("metrics",), ("config", "show"), ("worker", "show"), ("worker", "stages"),
         ("port", "show"), ("port", "xstats"), ("queue", "show"), ("memory", "show"), ("store", "show"), ("drain", "status"),
         ("acl", "show"), ("log", "level"), ("version",))


@test(appliance_only=True)
def every_noun_answers_as_text(target):
    for noun in NOUNS:
        done = target.wirectl(*noun)
        assert done.returncode == EXIT_OK, f"{noun}: {done.returncode} {done.stdout.decode()}"
        text = done.stdout.decode()
        assert text.strip(), f"{noun} said nothing"
        assert "\x1b" not in text, f"{noun} writes colours to a pipe"
        assert not text.lstrip().startswith("{"), f"{noun} answers JSON where text was asked for"


@test(appliance_only=True)
def text_fits_eighty_columns(target):
    with target.connect() as stream:
        appliance.store(stream, b"wide", b"x" * 5000)
        appliance.exchange(stream, b"get nothing\r\n", b"END\r\n")
    for noun in (*NOUNS, ("latency", "show"), ("latency", "histogram"), ("keys", "hot"), ("keys", "big"), ("slow", "show")):
        if noun in (("config", "show"), ("metrics",)):  # paths are not broken; the other is for programs
            continue
        wide = [line for line in target.wirectl(*noun).stdout.decode().splitlines() if len(line) > 80]
        assert not wide, f"{noun}: {wide[0]}"


@test(appliance_only=True)
def every_noun_answers_as_json(target):
    for noun in NOUNS:
        assert target.json(*noun), f"{noun} is empty"
        short = run(f"{BUILD}/wirectl", "-j", "-s", target.socket_path, *noun)
        json.loads(short.stdout)


@test(appliance_only=True)
def status_of_a_good_appliance_is_good(target):
    assert target.json("status")["health"] == "healthy"
    assert "healthy" in target.wirectl("status").stdout.decode()


@test(appliance_only=True)
def stats_agree_with_the_data_port(target):
    with target.connect() as stream:
        appliance.store(stream, b"agree", b"x")
    wire, control = target.stats(), target.json("stats")
    for name in ("cmd_set", "curr_items", "total_items", "limit_maxbytes"):
        assert str(control[name]) == wire[name], f"{name}: {control[name]} and {wire[name]}"


@test(appliance_only=True)
def worker_show_names_every_worker(target):
    workers = target.json("worker", "show")
    assert len(workers) >= 1
    for worker in workers:
        assert worker["state"] == "running"
        assert worker["mbufs_free"] > 0


@test(appliance_only=True)
def port_show_counts_packets(target):
    def packets():
        port = target.json("port", "show")[0]
        return port["rx_packets"], port["tx_packets"]
    before = packets()
    with target.connect() as stream:
        for _ in range(100):
            appliance.exchange(stream, b"get port\r\n", b"END\r\n")
    after = packets()
    assert after[0] >= before[0] + 100 and after[1] >= before[1] + 100, f"{before} {after}"


@test(appliance_only=True)
def config_show_tells_what_the_file_said(target):
    text = target.wirectl("config", "show").stdout.decode()
    assert appliance.WIRE4 in text and "net_tap0" in text, text


@test(appliance_only=True)
def version_on_the_wire_has_three_numbers_and_ours(target):
    with target.connect() as stream:
        stream.sendall(b"version\r\n")
        wire = appliance.read_until(stream, b"\r\n").decode().split()[1]
    assert re.match(r"\d+\.\d+\.\d+", wire), wire  # what clients parse
    ours = wire.rsplit("-", 1)[1]
    assert target.json("version")["wirecached"].startswith(ours) and ours, wire


@test(appliance_only=True)
def unknown_noun_is_a_usage_error(target):
    for arguments in (("nonsense",), ("worker", "dance"), ("--no-such-option", "status"), ()):
        done = target.wirectl(*arguments)
        assert done.returncode == EXIT_USAGE, f"{arguments}: {done.returncode} {done.stdout.decode()}"
        assert done.stdout.strip(), f"{arguments} ended without a word"


@test(appliance_only=True)
def absent_daemon_is_unreachable(target):
    absent = os.path.join(target.directory, "absent.sock")
    done = run(f"{BUILD}/wirectl", "-s", absent, "status")
    assert done.returncode == EXIT_UNREACHABLE, done.returncode
    assert absent in done.stdout.decode(), done.stdout


@test(appliance_only=True)
def closed_output_does_not_hurt_the_daemon(target):
    for _ in range(20):
        run("sh", "-c", f"{BUILD}/wirectl -s {target.socket_path} stats | head -c 1")
    assert target.wirectl("status").returncode == EXIT_OK


@test(appliance_only=True)
def nonsense_on_the_socket_is_survived(target):
    for junk in (b"", b"\n", b"{", b"[" * 100_000, b"\0" * 65536, b"\xff" * 4096 + b"\n", b'{"command": 5}\n'):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(target.socket_path)
            try:
                sock.sendall(junk)
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(10)
                while sock.recv(4096):
                    pass
            except (ConnectionError, BrokenPipeError):
                pass
    assert target.wirectl("status").returncode == EXIT_OK


@test(appliance_only=True)
def silent_controller_delays_nobody(target):
    silent = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for sock in silent:
        sock.connect(target.socket_path)
        sock.sendall(b'{"half a')
    assert target.wirectl("status").returncode == EXIT_OK
    assert target.answers()
    for sock in silent:
        sock.close()


if __name__ == "__main__":
    appliance.main()
