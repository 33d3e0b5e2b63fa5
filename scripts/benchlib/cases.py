"""What is measured, once: the runs, and the cases that set two of them beside each other.

A run is one wireload against one far end, or one link_ceiling where wireload would be the slower side. A case takes a
figure of one run as ours and of another as the peer's; both come from the same round.
"""
import collections

from benchlib import store

CACHED_KEYS = 4096  # of 16 bytes with values of 32: 300 KB of items, and as many requests as link_ceiling makes once
ITEM_BYTES = 72  # of the DRAM-resident ones: header, key, value, and their part of the index
BIG = {"value_size": 1 << 20, "keys": 4, "connections": 16}  # few values: it is sending that is compared
PIPELINE = {"connections": 64, "per_segment": 16, "pipeline": 16}
MULTIGET = {"connections": 32, "multiget": 100}
WINDOWS = 100  # of an open loop: 20 ms each
UDP = {"transport": "udp", "connections": 16, "pipeline": 64}

Run = collections.namedtuple("Run", "far options seconds")
# must and aim: of the ratio, or of the difference where unit is us; None: reported only.
Case = collections.namedtuple("Case", "id what unit ours peer must aim")


def of(run, figure="rate"):
    """A figure of a run: its name, and which figure of it."""
    return run, figure


def at(share):
    """Open loop at this share of what the appliance answered in the same round."""
    return lambda figures: {**UDP, "keys": CACHED_KEYS, "pipeline": 0, "windows": WINDOWS,
                            "rate": int(share * figures["udp_get_counted"].rate)}


def overload(figures):
    """Twice what it answers, offered by link_ceiling."""
    return f"get {CACHED_KEYS} uniform {int(2 * figures['udp_get_counted'].rate)}"


def runs(dram_keys):
    """All runs by name, in the order of a round. Options may be computed from what the round has measured so far."""
    cached = {"keys": CACHED_KEYS}

    def both(name, options, seconds=2):
        return {name: Run("appliance", options, seconds), f"{name}/memcached": Run("memcached", options, seconds)}

    def stored(name, items):
        return {name: Run("store", (items, store.BATCH), 0), f"{name}/one by one": Run("store", (items, 1), 0)}

    udp = {**cached, **UDP}
    table = {
        **both("udp_get", udp),
        "udp_get_counted": Run("appliance", f"get {CACHED_KEYS} uniform", 2),
        "overload": Run("appliance", overload, 2),
        **both("udp_95_5", {**udp, "get": 95, "set": 5}),
        **both("udp_50_50", {**udp, "get": 50, "set": 50}),
        **both("udp_set", {**udp, "get": 0, "set": 100}),
        "udp_set_counted": Run("appliance", f"set {CACHED_KEYS}", 2),
        **both("tcp_1", {**cached, "connections": 1}, 1),
        **both("tcp_64", {**cached, "connections": 64}),
        **both("tcp_256", {**cached, "connections": 256}),
        **both("tcp_1000", {**cached, "connections": 1000}),
        **both("tcp_10k", {**cached, "connections": 10000}),
        **both("tcp_pipeline_16", {**cached, **PIPELINE}),
        **both("tcp_multiget_100", {**cached, **MULTIGET}),
        **both("tcp_set", {**cached, "connections": 256, "get": 0, "set": 100}),
        **both("value_1k", {"keys": 512, "value_size": 1024, "connections": 64}),
        **both("value_100k", {"keys": 64, "value_size": 100 << 10, "connections": 16}),
        **both("value_1m", BIG),
        **both("connections", {**cached, "connections": 64, "per_connection": 1}),
        "half_load": Run("appliance", at(0.5), 2),
        "most_load": Run("appliance", at(0.8), 2),
        "reflect": Run("reflect", "reflect", 2),
        "half_load/reflect": Run("reflect", at(0.5), 2),
        "most_load/reflect": Run("reflect", at(0.8), 2),
        "frames": Run("source", "count", 2),
        **stored("store_cached", CACHED_KEYS),
        **stored("store_dram", dram_keys * ITEM_BYTES // store.ITEM_BYTES),
        "dram_get": Run("full", f"get {dram_keys} uniform", 2),
        "dram_zipf": Run("full", f"get {dram_keys} zipf", 2),
    }
    return table


CASES = [
    Case("udp_get_cached", "UDP GET, cached, beside 5tswap", "requests/s", of("udp_get_counted"), of("reflect"), 0.45,
         0.60),
    Case("udp_get_dram", "UDP GET from DRAM, beside 5tswap", "requests/s", of("dram_get"), of("reflect"), 0.35, 0.50),
    Case("tcp_get_256", "TCP GET, one a segment, 256 connections, beside memcached", "requests/s", of("tcp_256"),
         of("tcp_256/memcached"), 25, 50),
    Case("tcp_pipeline_16", "TCP GET, 16 pipelined, beside memcached", "requests/s", of("tcp_pipeline_16"),
         of("tcp_pipeline_16/memcached"), 20, 40),
    Case("tcp_multiget_100", "gets of 100 keys, beside memcached", "keys/s", of("tcp_multiget_100", "keys"),
         of("tcp_multiget_100/memcached", "keys"), 8, 12),
    Case("tcp_10k_over_256", "TCP GET, 10 000 connections beside 256", "requests/s", of("tcp_10k"), of("tcp_256"), 0.9,
         0.95),
    Case("udp_set_over_get", "SET over UDP beside GET", "requests/s", of("udp_set_counted"), of("udp_get_counted"), 0.6,
         0.8),
    Case("tcp_1m_goodput", "1 MiB GET over TCP beside txonly's 1514 B frames", "bytes/s", of("value_1m", "bytes_in"),
         of("frames", "bytes_in"), 0.5, 0.8),
    Case("zipf_over_uniform", "UDP GET from DRAM, zipf 0.99 beside uniform", "requests/s", of("dram_zipf"),
         of("dram_get"), 1.0, 1.2),
    Case("p99_half_load_us", "99th percentile at half load, less the reflect's at the same rate", "us",
         of("half_load", "p99"), of("half_load/reflect", "p99"), 10, 5),
    Case("overload_goodput", "replies at twice the saturation beside saturation", "requests/s", of("overload"),
         of("udp_get_counted"), 0.95, 0.98),
    Case("udp_get", "UDP GET beside memcached", "requests/s", of("udp_get"), of("udp_get/memcached"), None, None),
    Case("udp_95_5", "UDP 95 % GET, 5 % SET beside memcached", "requests/s", of("udp_95_5"), of("udp_95_5/memcached"),
         None, None),
    Case("udp_50_50", "UDP half GET, half SET beside memcached", "requests/s", of("udp_50_50"),
         of("udp_50_50/memcached"), None, None),
    Case("udp_set", "UDP SET beside memcached", "requests/s", of("udp_set"), of("udp_set/memcached"), None, None),
    Case("tcp_get_1", "TCP GET, 1 connection, beside memcached", "requests/s", of("tcp_1"), of("tcp_1/memcached"), None,
         None),
    Case("tcp_get_64", "TCP GET, 64 connections, beside memcached", "requests/s", of("tcp_64"), of("tcp_64/memcached"),
         None, None),
    Case("tcp_get_1000", "TCP GET, 1 000 connections, beside memcached", "requests/s", of("tcp_1000"),
         of("tcp_1000/memcached"), None, None),
    Case("tcp_get_10k", "TCP GET, 10 000 connections, beside memcached", "requests/s", of("tcp_10k"),
         of("tcp_10k/memcached"), None, None),
    Case("tcp_set", "TCP SET, 256 connections, beside memcached", "requests/s", of("tcp_set"), of("tcp_set/memcached"),
         None, None),
    Case("value_1k", "TCP GET of 1 KiB, 64 connections, beside memcached", "requests/s", of("value_1k"),
         of("value_1k/memcached"), None, None),
    Case("value_100k", "TCP GET of 100 KiB, 16 connections, beside memcached", "bytes/s", of("value_100k", "bytes_in"),
         of("value_100k/memcached", "bytes_in"), None, None),
    Case("value_1m", "TCP GET of 1 MiB, 16 connections, beside memcached", "bytes/s", of("value_1m", "bytes_in"),
         of("value_1m/memcached", "bytes_in"), None, None),
    Case("connections", "connect, one GET, close; beside memcached", "connections/s", of("connections", "connections"),
         of("connections/memcached", "connections"), None, None),
    Case("store_get_cached", "the store alone, no packets: gets in batches of 32 beside one by one, cached; the ratio is of misses overlapped",
         "gets/s", of("store_cached"), of("store_cached/one by one"), None, None),
    Case("store_get_dram", "the same, from DRAM", "gets/s", of("store_dram"), of("store_dram/one by one"), None, None),
    Case("p99_most_load_us", "99th percentile at 80 % load, less the reflect's", "us", of("most_load", "p99"),
         of("most_load/reflect", "p99"), None, None),
]


def by_id(ids):
    """Those cases, or all; an unknown one is named."""
    known = {case.id: case for case in CASES}
    unknown = [name for name in ids if name not in known]
    if unknown:
        raise ValueError(f"no case {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in ids] if ids else CASES


def needed(chosen, table):
    """The runs that these cases need, in a round's order; loads that are shares of a rate need that rate too."""
    names = {side[0] for case in chosen for side in (case.ours, case.peer)}
    if any(callable(table[name].options) for name in names):
        names.add("udp_get_counted")
    if "udp_get_counted" in names:
        names.add("udp_get")  # it fills the cache
    return [name for name in table if name in names]
