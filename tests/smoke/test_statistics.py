#!/usr/bin/python3
"""What the appliance tells of itself: latency, keys, slow passes, and the exports that others read."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import appliance
from appliance import BUILD, WIRE4, PORT, run, must, test

LISTEN = "127.0.0.1:9150"
MEMCACHED_TOOL = "/usr/share/memcached/scripts/memcached-tool"
OPTIONS = {"statistics": {"sample": "1", "slow": "1us"}}
# All that memcached_exporter reads, by pkg/exporter/exporter.go of its commit 0cbb0fb: without cmd_set and the three of cas it
# says that memcached is down, without another the metric is missing.
EXPORTER_READS = ("version uptime time cmd_set cmd_flush cas_badval get_hits get_misses delete_hits delete_misses incr_hits "
                  "incr_misses decr_hits decr_misses cas_hits cas_misses touch_hits touch_misses rusage_user rusage_system "
                  "bytes limit_maxbytes curr_items total_items bytes_read bytes_written curr_connections "
                  "total_connections rejected_connections listen_disabled_num evictions reclaimed "
                  "store_too_large store_no_memory accepting_conns").split()
# Of what there is none of here: an LRU and its crawler, connections that yield. The exporter leaves out what it does not find.
EXPORTER_READS_OF_LRU = ("conn_yields lru_crawler_starts direct_reclaims crawler_items_checked crawler_reclaimed moves_to_cold "
                         "moves_to_warm moves_within_lru").split()
# What the page, the dashboard and memcached's mixin for Grafana read.
MEMCACHED_NAMES = ("up uptime_seconds time_seconds version process_user_cpu_seconds_total process_system_cpu_seconds_total "
                   "read_bytes_total written_bytes_total current_connections max_connections connections_total "
                   "connections_rejected_total accepting_connections current_bytes limit_bytes malloced_bytes "
                   "current_items items_total items_evicted_total items_reclaimed_total item_too_large_total "
                   "item_no_memory_total commands_total").split()


def some_load(target):
    with target.connect() as stream:
        appliance.store(stream, b"warm", b"x" * 10)
        appliance.store(stream, b"large", b"y" * 100000)
        for _ in range(300):
            appliance.exchange(stream, b"get warm\r\n", appliance.fetched(b"warm", b"x" * 10))
        appliance.exchange(stream, b"get large\r\n", appliance.fetched(b"large", b"y" * 100000))
        appliance.exchange(stream, b"get cold\r\n", b"END\r\n")


class Exporter:
    """`wirectl serve`, for as long as a test runs."""

    def __init__(self, target):
        self.process = subprocess.Popen(
            [f"{BUILD}/wirectl", "-s", target.socket_path, "serve", "--listen", LISTEN], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=appliance.die_with_parent)

    def __enter__(self):
        assert self.process.stdout.readline().startswith(b"http://"), "wirectl serve does not listen"
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, "wirectl serve did not end well"
        self.process.stdout.close()


def fetch(path, accept=None):
    """Status, content type and body."""
    request = urllib.request.Request(f"http://{LISTEN}{path}", headers={"Accept": accept} if accept else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers["Content-Type"], answer.read().decode()


def samples(text):
    """{name{labels}: value} of an exposition."""
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))


@test(appliance_only=True)
def latency_of_what_was_served_is_shown_and_reset(target):
    some_load(target)
    rows = {(row["transport"], row["command"]): row for row in target.json("latency", "show")}
    gets = rows["tcp", "get"]
    assert gets["requests"] >= 302 and rows["tcp", "set"]["requests"] >= 2, rows
    assert 0 < gets["p50_ns"] <= gets["p99_ns"] <= gets["max_ns"], gets
    histogram = target.json("latency", "histogram", "get")
    assert sum(row["requests"] for row in histogram) >= gets["requests"]
    target.json("latency", "reset")
    assert sum(row["requests"] for row in target.json("latency", "show")) < 100


@test(appliance_only=True)
def datagrams_have_a_latency_of_their_own(target):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(30)
        for number in range(10):
            datagrams.sendto(bytes((0, number, 0, 0, 0, 1, 0, 0)) + b"get nothing\r\n", (WIRE4, PORT))
            datagrams.recv(2000)
    rows = [row for row in target.json("latency", "show") if row["transport"] == "udp"]
    assert rows and rows[0]["command"] == "get" and rows[0]["requests"] >= 10, rows


@test(appliance_only=True)
def key_asked_for_most_is_the_hottest(target):
    some_load(target)
    hot = target.json("keys", "hot", "--count", "3")
    assert hot[0]["key"] == "warm" and hot[0]["share_pct"] > 50, hot


@test(appliance_only=True)
def large_values_are_named(target):
    some_load(target)
    big = target.json("keys", "big")
    assert big[0]["key"] == "large" and big[0]["value_bytes"] == 100000, big


@test(appliance_only=True)
def dump_names_every_key(target):
    with target.connect() as stream:
        for number in range(5000):
            stream.sendall(b"set dump-%d 0 0 1 noreply\r\nx\r\n" % number)
        appliance.exchange(stream, b"mn\r\n", b"MN\r\n")
    lines = target.wirectl("keys", "dump").stdout.decode().splitlines()
    assert {f"dump-{number} 1" for number in range(5000)} <= set(lines), len(lines)
    rows = [json.loads(line) for line in target.wirectl("--json", "keys", "dump").stdout.splitlines()]
    assert len(rows) >= 5000 and {"key": "dump-7", "value_bytes": 1}.items() <= \
        next(row for row in rows if row["key"] == "dump-7").items()


@test(appliance_only=True)
def slow_passes_are_remembered_with_their_largest_value(target):
    some_load(target)
    rows = target.json("slow", "show")
    assert rows and all(row["took_ns"] >= 1000 for row in rows), rows[:2]
    assert any(row["requests"] > 0 for row in rows)


@test(appliance_only=True)
def stages_of_measured_passes_add_up(target):
    with target.connect() as stream:
        for _ in range(3000):
            appliance.exchange(stream, b"get cold\r\n", b"END\r\n")
    rows = target.json("worker", "stages")
    assert abs(sum(row["share_pct"] for row in rows) - 100) < 0.1, rows
    assert {row["stage"] for row in rows} >= {"poll", "network", "serve", "send"}


@test(appliance_only=True)
def top_into_a_pipe_is_one_picture_of_80x24(target):
    some_load(target)
    lines = must(f"{BUILD}/wirectl", "-s", target.socket_path, "top").decode().splitlines()
    assert len(lines) <= 24 and all(len(line) <= 80 for line in lines), lines
    text = "\n".join(lines)
    for word in ("requests/s", "hit rate", "p99", "BUSY", "MEMORY", "HOT KEYS", "warm"):
        assert word in text, f"{word} is missing:\n{text}"
    assert "\x1b" not in text


@test(appliance_only=True)
def metrics_have_memcached_exporters_names_and_ours(target):
    some_load(target)
    with Exporter(target):
        code, kind, text = fetch("/metrics")
    assert code == 200 and kind.startswith("text/plain; version=0.0.4"), (code, kind)
    got = samples(text)
    names = {key.split("{")[0] for key in got}
    missing = [name for name in MEMCACHED_NAMES if f"memcached_{name}" not in names]
    assert not missing, missing
    assert got["memcached_up"] == "1" and float(got['memcached_commands_total{command="get",status="hit"}']) >= 301
    count = float(got['wirecache_request_duration_seconds_count{transport="tcp",command="get"}'])
    assert count == float(got['wirecache_request_duration_seconds_bucket{transport="tcp",command="get",le="+Inf"}']) > 0
    assert got['wirecache_worker_up{worker="0"}'] == "1" and 'wirecache_worker_loops_total{worker="0"}' in got
    assert any(name.startswith("wirecache_net_drops_total{reason=") for name in got)
    described = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) if "duration" in name else name for name in names}
    assert families <= described, families - described


@test(appliance_only=True)
def buckets_of_a_histogram_never_fall(target):
    some_load(target)
    with Exporter(target):
        text = fetch("/metrics")[2]
    rows = [line for line in text.splitlines() if re.match(r'\S+_bucket\{transport="tcp",command="get"', line)]
    values = [int(row.rsplit(" ", 1)[1]) for row in rows]
    assert len(values) > 10 and values == sorted(values) and values[-1] > 0, values


@test(appliance_only=True)
def openmetrics_is_given_to_who_asks(target):
    with Exporter(target):
        code, kind, text = fetch("/metrics", "application/openmetrics-text; version=1.0.0")
    assert code == 200 and kind.startswith("application/openmetrics-text"), kind
    assert text.endswith("# EOF\n") and "# TYPE memcached_commands counter" in text


@test(appliance_only=True)
def health_readiness_page_and_figures_are_served(target):
    with Exporter(target):
        assert fetch("/healthz")[::2] == (200, "ok\n")
        assert fetch("/readyz")[::2] == (200, "ready\n")
        code, kind, page = fetch("/")
        assert code == 200 and kind.startswith("text/html") and "</html>" in page and "status.json" in page
        both = json.loads(fetch("/status.json")[2])
        assert both["status"]["health"] == "healthy" and both["metrics"]["workers"]
        assert fetch("/nothing")[0] == 404


@test(appliance_only=True)
def draining_appliance_is_healthy_and_not_ready(target):
    with appliance.Unread(target), Exporter(target):
        target.json("drain", "start", "--deadline", "600")
        try:
            assert fetch("/readyz")[::2] == (503, "draining\n")
            assert fetch("/healthz")[::2] == (200, "ok\n")
        finally:
            target.json("drain", "stop")
    with Exporter(target):
        assert fetch("/readyz")[::2] == (200, "ready\n")


@test(appliance_only=True)
def exporter_without_a_daemon_says_so(target):
    class Nobody:
        socket_path = os.path.join(target.directory, "nobody")
    with Exporter(Nobody):
        assert samples(fetch("/metrics")[2]) == {"memcached_up": "0"}
        assert fetch("/healthz")[0] == fetch("/readyz")[0] == fetch("/status.json")[0] == 503
        assert fetch("/")[0] == 200


@test(appliance_only=True)
def address_that_is_none_is_a_usage_error(target):
    for text in ("9150", "localhost:9150", "127.0.0.1:0", "[::1:80", "127.0.0.1:99999"):
        assert target.wirectl("serve", "--listen", text).returncode == 2, text


@test(appliance_only=True)
def promtool_finds_little_to_complain_of(target):
    if not shutil.which("promtool"):
        raise appliance.Skip("Debian's prometheus is not installed: make test-page installs it")
    some_load(target)
    with Exporter(target):
        text = fetch("/metrics")[2]
    done = run("promtool", "check", "metrics", input=text.encode())
    # memcached_exporter's own name has this flaw, and we keep its names.
    complaints = [line for line in done.stdout.decode().splitlines() if line and "memcached_uptime_seconds" not in line]
    assert not complaints, complaints


@test(appliance_only=True)
def capture_writes_what_the_filter_takes(target):
    path = os.path.join(target.directory, "capture.pcapng")
    with subprocess.Popen([f"{BUILD}/wirectl", "-s", target.socket_path, "capture", "start", "-w", path, "-f",
                           f"tcp port {PORT}", "-c", "20"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, preexec_fn=appliance.die_with_parent) as process:
        appliance.wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "the capture's begin")
        some_load(target)
        text = process.communicate(timeout=30)[0].decode()
    assert process.returncode == 0 and text.startswith("20 packets"), text
    seen = run("tcpdump", "-n", "-r", path).stdout.decode()
    assert f"> {WIRE4}.{PORT}: Flags [S]" in seen and f"IP {WIRE4}.{PORT} >" in seen, seen
    assert "bad" not in seen and len([line for line in seen.splitlines() if " IP " in line]) == 20, seen


@test(appliance_only=True)
def capture_stopped_by_another_ends_well_and_can_begin_again(target):
    for _ in range(2):
        path = os.path.join(target.directory, "stopped.pcapng")
        with subprocess.Popen([f"{BUILD}/wirectl", "-s", target.socket_path, "capture", "start", "-w", path],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              preexec_fn=appliance.die_with_parent) as process:
            appliance.wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "the capture's begin")
            assert b"already" in target.wirectl("capture", "start", "-w", "/dev/null").stdout
            assert target.json("capture", "stop")["capture"] == "ended"
            assert process.wait(30) == 0
        os.unlink(path)
        assert target.answers()  # whose passes let the next capture begin


@test(appliance_only=True)
def capture_with_a_wrong_filter_says_why(target):
    done = target.wirectl("capture", "start", "-w", "/dev/null", "-f", "port port")
    assert done.returncode == 1 and b"the filter is wrong: " in done.stdout, done.stdout
    done = target.wirectl("capture", "start", "-f", "tcp")
    assert done.returncode == 2 and b"-w is missing" in done.stdout, done.stdout


@test(appliance_only=True)
def daemon_compiles_no_filter_and_takes_only_sound_programs(target):
    for text in ("host www.example.org", "1,40 0 0 12", "2,21 0 5 2048,6 0 0 0"):
        done = target.wirectl("capture", "open", "--program", text)
        assert done.returncode == 1 and b"wirectl capture start compiles one" in done.stdout, done.stdout
    assert target.json("capture", "open", "--program", "1,6 0 0 65535")["capture"] == "on"
    assert target.json("capture", "stop")["capture"] == "ended"


@test(appliance_only=True)
def capture_that_is_refused_leaves_the_file_as_it_was(target):
    path = os.path.join(target.directory, "kept.pcapng")
    with open(path, "w", encoding="ascii") as out:
        out.write("what was captured before")
    appliance.wait_for(lambda: target.wirectl("capture", "open").returncode == 0, "the last capture's end")
    assert b"already" in target.wirectl("capture", "start", "-w", path).stdout
    target.json("capture", "stop")
    assert b"the filter is wrong" in target.wirectl("capture", "start", "-w", path, "-f", "port port").stdout
    assert b"loop" in target.wirectl("capture", "start", "-w", path, "-f", "ip6 protochain 6").stdout
    with open(path, encoding="ascii") as kept:
        assert kept.read() == "what was captured before"


@test(appliance_only=True)
def capture_that_cannot_write_its_file_ends_at_once(target):
    path = os.path.join(target.directory, "nowhere", "file.pcapng")
    def refused():
        return b"No such file" in target.wirectl("capture", "start", "-w", path).stdout
    appliance.wait_for(refused, "the last capture's end")
    assert target.json("capture", "stop")["capture"] == "there was none"


class Telemetry:
    """DPDK's telemetry socket of an appliance."""

    def __init__(self, target):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(f"/var/run/dpdk/{target.file_prefix}/dpdk_telemetry.v2")
        self.socket.settimeout(30)
        self.socket.recv(16384)

    def ask(self, command):
        self.socket.send(command.encode())
        return json.loads(self.socket.recv(65536))[command.split(",")[0]]


@test(appliance_only=True)
def dpdk_telemetry_has_our_commands(target):
    some_load(target)
    telemetry = Telemetry(target)
    known = telemetry.ask("/")
    assert {"/wirecache/info", "/wirecache/latency", "/eal/lcore/list", "/eal/lcore/info"} <= set(known), known
    assert telemetry.ask("/wirecache/info")["workers"] == len(telemetry.ask("/wirecache/worker/list"))
    assert telemetry.ask("/wirecache/worker/counters,0")["loops"] > 0
    assert telemetry.ask("/wirecache/requests")["get_hits"] >= 301
    assert telemetry.ask("/wirecache/net")["rx_packets"] > 0
    assert telemetry.ask("/wirecache/latency")["tcp_get_requests"] >= 302
    assert telemetry.ask("/eal/lcore/list") == [0, 1]
    lcore = telemetry.ask("/eal/lcore/info,1")
    assert lcore["total_cycles"] > lcore["busy_cycles"] > 0, lcore
    for wrong in ("/eal/lcore/info,77", "/eal/lcore/info", "/wirecache/worker/counters,-1",
                  "/wirecache/worker/counters,9", "/wirecache/worker/counters,0x"):
        assert not telemetry.ask(wrong), wrong


@test(appliance_only=True)
def dpdk_telemetry_py_reads_our_commands(target):
    if not shutil.which("dpdk-telemetry.py"):
        raise appliance.Skip("no dpdk-telemetry.py: it is in dpdk-dev")
    text = must("dpdk-telemetry.py", "-f", target.file_prefix, input=b"/wirecache/info\n/eal/lcore/info,1\nquit\n").decode()
    assert '"limit_bytes": ' in text and '"total_cycles": ' in text, text


@test
def stats_have_all_that_memcached_exporter_reads(target):
    stats = target.stats()
    missing = [name for name in EXPORTER_READS if name not in stats]
    assert not missing, missing
    for name in EXPORTER_READS:
        assert name == "version" or re.fullmatch(r"\d+(\.\d{6})?", stats[name]), f"{name} = {stats[name]}"
    for name in ("rusage_user", "rusage_system"):
        assert re.fullmatch(r"\d+\.\d{6}", stats[name]), stats[name]
    settings = target.stats("settings")
    assert settings["maxconns"].isdigit(), settings
    assert target.stats("slabs")["total_malloced"].isdigit()  # which it takes for one of the above


@test(appliance_only=True)
def stats_of_an_lru_are_told_as_there_being_none(target):
    stats, settings = target.stats(), target.stats("settings")
    told = [name for name in EXPORTER_READS_OF_LRU if name in stats]
    assert all(stats[name].isdigit() for name in told), {name: stats[name] for name in told}
    if settings.get("lru_crawler") == "yes":  # then the exporter wants these
        for name in ("lru_crawler_sleep", "lru_crawler_tocrawl", "hot_lru_pct", "warm_lru_pct", "hot_max_factor",
                     "warm_max_factor"):
            assert re.fullmatch(r"[\d.]+", settings[name]), settings
        assert settings["lru_maintainer_thread"] in ("yes", "no"), settings
    for group in ("slabs", "items"):  # no class is listed, so nothing of one can be missing
        assert not [name for name in target.stats(group) if ":" in name], group


@test
def memcached_tool_shows_what_it_shows_of_memcached(target):
    if not os.path.exists(MEMCACHED_TOOL):
        raise appliance.Skip(f"no {MEMCACHED_TOOL}")
    with target.connect() as stream:
        appliance.store(stream, b"tool", b"hammer")
    where = f"{WIRE4}:{target.port}"
    assert b"Item_Size" in must(MEMCACHED_TOOL, where, "display")
    assert re.search(rb"curr_items\s+[1-9]", must(MEMCACHED_TOOL, where, "stats"))
    assert re.search(rb"maxbytes\s+\d", must(MEMCACHED_TOOL, where, "settings"))
    assert must(MEMCACHED_TOOL, where, "sizes") is not None
    assert b"add tool 0 " in must(MEMCACHED_TOOL, where, "dump")
    assert b"key=tool " in must(MEMCACHED_TOOL, where, "keys")


if __name__ == "__main__":
    appliance.main(OPTIONS)
