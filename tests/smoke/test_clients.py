#!/usr/bin/python3
"""Real clients against the data port: nc, libmemcached's tools, pymemcache."""
import hashlib
import os
import re
import time

import appliance
from appliance import WIRE4, must, run, test

SERVER = f"{WIRE4}:{appliance.PORT}"


def fresh_client():
    from pymemcache.client.base import Client  # pylint: disable=import-outside-toplevel
    return Client((WIRE4, appliance.PORT), connect_timeout=30, timeout=30, default_noreply=False)


@test
def nc_pipes_set_and_get_answers_both(_target):
    pipe = r"printf 'set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n' | nc %s %d" % (WIRE4, appliance.PORT)
    assert must("sh", "-c", pipe) == b"STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n"


@test
def nc_asks_for_stats_ends_with_end(_target):
    text = must("sh", "-c", r"printf 'stats\r\nquit\r\n' | nc %s %d" % (WIRE4, appliance.PORT)).decode()
    names = re.findall(r"^STAT (\S+) \S*\r$", text, re.MULTILINE)
    assert text.endswith("END\r\n"), text[-200:]
    for name in ("pid", "uptime", "curr_connections", "cmd_get", "get_hits", "bytes", "curr_items", "evictions"):
        assert name in names, f"no {name} among {names}"


@test
def memccapable_ascii_all_tests_pass(_target):
    # It ends with 0 even when tests fail: only its last line tells.
    text = run("memccapable", "-h", WIRE4, "-p", str(appliance.PORT), "-a", timeout_s=120).stdout.decode()
    assert "All tests passed" in text, text


@test
def memccapable_binary_all_tests_pass(_target):
    text = run("memccapable", "-h", WIRE4, "-p", str(appliance.PORT), "-b", timeout_s=120).stdout.decode()
    assert "All tests passed" in text and text.count("[pass]") == 27, text


@test
def memcping_finds_the_server(_target):
    must("memcping", f"--servers={SERVER}")


@test
def memccp_file_comes_back_through_memccat(target):
    path = os.path.join(target.directory, "copied.bin")
    with open(path, "wb") as out:
        out.write(bytes(range(256)) * 400)
    must("memccp", f"--servers={SERVER}", path)
    back = os.path.join(target.directory, "back.bin")
    must("memccat", f"--servers={SERVER}", f"--file={back}", "copied.bin")
    with open(path, "rb") as left, open(back, "rb") as right:
        assert hashlib.sha256(left.read()).digest() == hashlib.sha256(right.read()).digest()


@test
def memcstat_lists_counters(_target):
    text = must("memcstat", f"--servers={SERVER}").decode()
    assert "curr_items" in text and "limit_maxbytes" in text, text


def memcaslap_misses_nothing(target, *more):
    """Runs a bounded number of operations, all verified, that fit the cache: then no miss has an excuse."""
    config = os.path.join(target.directory, "memaslap.cnf")
    with open(config, "w", encoding="ascii") as out:
        out.write("key\n16 64 1\nvalue\n1 1000 1\ncmd\n0 0.2\n1 0.8\n")
    text = must("memcaslap", "-s", SERVER, "-F", config, "-T", "1", "-c", "8", "-w", "1k", "-x", "60000", "-v", "1.0",
                *more).decode()
    figures = dict(re.findall(r"^(\w+): (\d+)", text, re.MULTILINE))
    assert int(figures["cmd_get"]) > 10000 and int(figures["cmd_set"]) > 1000, text
    for name in ("get_misses", "verify_misses", "verify_failed"):
        assert figures[name] == "0", text
    assert "ERROR" not in text, text
    appliance.note(" ".join(["memcaslap", *more]) + ": " + re.search(r"TPS: \d+", text).group())


@test
def memcaslap_verifies_every_value_finds_no_miss(target):
    memcaslap_misses_nothing(target)


@test
def memcaslap_multiget_finds_no_miss(target):
    memcaslap_misses_nothing(target, "-d", "10")


@test
def pymemcache_storage_commands_obey_presence(_target):
    client = fresh_client()
    client.delete("storage")
    assert client.replace("storage", b"no") is False
    assert client.append("storage", b"no") is False
    assert client.add("storage", b"one") is True
    assert client.add("storage", b"two") is False
    assert client.get("storage") == b"one"
    assert client.replace("storage", b"three") is True
    assert client.append("storage", b">") is True
    assert client.prepend("storage", b"<") is True
    assert client.get("storage") == b"<three>"


@test
def pymemcache_cas_stale_is_refused(_target):
    client = fresh_client()
    client.set("cas", b"one")
    value, token = client.gets("cas")
    assert value == b"one"
    assert client.cas("cas", b"two", token) is True
    assert client.cas("cas", b"three", token) is False
    client.delete("cas")
    assert client.cas("cas", b"four", token) is None


@test
def pymemcache_counters_go_up_and_down(_target):
    client = fresh_client()
    client.set("count", b"10")
    assert client.incr("count", 5) == 15
    assert client.decr("count", 6) == 9
    assert client.decr("count", 100) == 0
    client.delete("count")
    assert client.incr("count", 1) is None


@test
def pymemcache_hundred_keys_come_back_in_one_get(_target):
    client = fresh_client()
    values = {f"many{i}": b"%d" % i * (i + 1) for i in range(100)}
    assert client.set_many(values) == []
    assert client.get_many(list(values) + ["absent"]) == values
    assert client.delete_many(list(values)) is True
    assert client.get_many(list(values)) == {}


@test
def pymemcache_flags_survive(_target):
    client = fresh_client()
    from pymemcache import serde  # pylint: disable=import-outside-toplevel
    client.serde = serde.pickle_serde
    client.set("pickled", {"a": [1, 2, 3]})
    assert client.get("pickled") == {"a": [1, 2, 3]}


@test
def pymemcache_expired_item_is_gone(_target):
    client = fresh_client()
    client.set("touched", b"x", expire=2)  # one second may be over at once
    assert client.touch("touched", expire=100) is True
    client.set("short", b"x", expire=2)
    appliance.wait_for(lambda: client.get("short") is None, "the item to expire")
    assert client.get("touched") == b"x"
    assert client.touch("short", expire=100) is False


@test
def pymemcache_stats_count_requests(_target):
    client = fresh_client()
    before = client.stats()
    client.set("counted", b"x")
    client.get("counted")
    client.get("absent")
    after = client.stats()
    for name, more in ((b"cmd_get", 2), (b"get_hits", 1), (b"get_misses", 1), (b"cmd_set", 1)):
        assert int(after[name]) - int(before[name]) == more, name


@test
def pymemcache_flush_all_empties_the_cache(_target):
    client = fresh_client()
    client.set("flushed", b"x")
    assert client.flush_all() is True
    assert client.get("flushed") is None
    client.set("flushed", b"y")
    assert client.get("flushed") == b"y"


@test
def first_request_after_idling_is_answered(target):
    with target.connect() as stream:
        appliance.store(stream, b"idle", b"x")
        time.sleep(1)  # long enough to be asleep
        begin = time.perf_counter()
        appliance.exchange(stream, b"get idle\r\n", appliance.fetched(b"idle", b"x"))
        appliance.note(f"first request after one second of silence: {(time.perf_counter() - begin) * 1e6:.0f} us")


if __name__ == "__main__":
    appliance.main()
