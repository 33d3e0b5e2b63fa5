#!/usr/bin/python3
"""The scripts for other generators ask for what wireload asks for: the profile for TRex is run against stubs that note what
it builds, the script for MoonGen under plain Lua, and the bytes of both are compared with what wireload sends."""
import collections
import contextlib
import importlib.util
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import traceback
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "smoke"))
import appliance  # noqa: E402  pylint: disable=wrong-import-position

BUILD = os.environ.get("SMOKE_BUILD", os.path.join(HERE, "..", "..", "build"))
KEYS = 8
WIRELOAD_RUNS_MAX = 20
GET = re.compile(rb"get ([0-9a-f]{16})\r\n")
FRAME = struct.Struct(">HHHH")
HEADERS_BYTES = 42
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def parse_datagram(data):
    """A request as the protocol has it: its id, and the one key that is asked for."""
    number, sequence, total, reserved = FRAME.unpack_from(data)
    assert (sequence, total, reserved) == (0, 1, 0), data
    return number, parse_line(data[FRAME.size:])


def parse_line(data):
    found = GET.fullmatch(data)
    assert found, data
    return found.group(1)


def wireload_keys():
    """The keys of items 0 to KEYS - 1, from the datagrams that wireload sends; in the time of a run it may have no core."""
    keys = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        for _ in range(WIRELOAD_RUNS_MAX):
            done = subprocess.run([f"{BUILD}/wireload", "--server=127.0.0.1", f"--port={server.getsockname()[1]}",
                                   "--transport=udp", f"--keys={KEYS}", "--key_size=16", "--preload=no", "--connections=1",
                                   "--pipeline=100", "--timeout=10ms", "--warmup=0s", "--duration=50ms",
                                   "--tolerance=10s", "--progress=no"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=120, check=False)
            keys |= waiting_keys(server)
            if len(keys) == KEYS:
                return sorted(keys)  # a key begins with its item's number
    raise AssertionError(f"only {sorted(keys)} of wireload: {done.stdout.decode()}")


def waiting_keys(server):
    keys = set()
    while True:
        try:
            keys.add(parse_datagram(server.recv(2048))[1])
        except BlockingIOError:
            return keys


# ---- TRex ----

class Program:
    """Notes what a flow does."""

    def __init__(self, stream=True):
        self.stream, self.steps = stream, []

    def send(self, data):
        assert self.stream
        self.steps.append(("send", data))

    def recv(self, size, clear=False):
        assert self.stream
        self.steps.append(("recv", size, clear))

    def send_msg(self, data):
        assert not self.stream
        self.steps.append(("send", data))

    def recv_msg(self, count):
        assert not self.stream
        self.steps.append(("recv", count))


def record(name, *fields):
    """A class whose objects keep the arguments; unknown ones are refused, as by TRex."""
    return collections.namedtuple(name, fields, defaults=[None] * len(fields))


def trex_profile():
    api = types.ModuleType("trex.astf.api")
    api.ASTFProgram = Program
    api.ASTFIPGen = record("ASTFIPGen", "dist_client", "dist_server", "glob")
    api.ASTFIPGenDist = record("ASTFIPGenDist", "ip_range", "distribution")
    api.ASTFIPGenGlobal = record("ASTFIPGenGlobal", "ip_offset")
    api.ASTFAssociationRule = record("ASTFAssociationRule", "port")
    api.ASTFTCPClientTemplate = record("ASTFTCPClientTemplate", "ip_gen", "program", "port", "cps")
    api.ASTFTCPServerTemplate = record("ASTFTCPServerTemplate", "program", "assoc")
    api.ASTFTemplate = record("ASTFTemplate", "client_template", "server_template")
    api.ASTFProfile = record("ASTFProfile", "default_ip_gen", "templates")
    sys.modules.update({"trex": types.ModuleType("trex"), "trex.astf": types.ModuleType("trex.astf"), "trex.astf.api": api})
    spec = importlib.util.spec_from_file_location("trex_memcached", os.path.join(HERE, "trex_memcached.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(*tunables):
    return trex_profile().register().get_profile(tunables=list(tunables))


@test
def trex_tcp_flows_ask_for_wireload_s_keys_one_at_a_time():
    keys = wireload_keys()
    profile = build(f"--keys={KEYS}", f"--templates={KEYS}", "--requests=3", "--value_bytes=32")
    assert len(profile.templates) == KEYS
    for first, template in enumerate(profile.templates):
        client = template.client_template
        steps = client.program.steps
        assert client.port == 11211 and template.server_template.assoc.port == 11211
        assert [step[0] for step in steps] == ["send", "recv"] * 3, steps
        asked = [parse_line(step[1]) for step in steps[::2]]
        assert asked == [keys[(first + i) % KEYS] for i in range(3)], asked
        for key, step in zip(asked, steps[1::2]):
            assert step[1] == len(b"VALUE %s 0 32\r\n%s\r\nEND\r\n" % (key, bytes(32))) and step[2], step


@test
def trex_udp_flows_are_one_datagram_with_memcached_s_frame():
    keys = wireload_keys()
    profile = build("--transport=udp", f"--keys={KEYS}", "--templates=4")
    assert len(profile.templates) == 4
    for first, template in enumerate(profile.templates):
        steps = template.client_template.program.steps
        assert parse_datagram(steps[0][1]) == (first, keys[first]) and steps[1:] == [("recv", 1)], steps


@test
def trex_addresses_are_those_of_the_tunables():
    profile = build("--server=192.0.2.7", "--client_first=192.0.2.16", "--client_last=192.0.2.31")
    addresses = profile.templates[0].client_template.ip_gen
    assert addresses.dist_server.ip_range == ["192.0.2.7"] * 2
    assert addresses.dist_client.ip_range == ["192.0.2.16", "192.0.2.31"]


@test
def trex_tunables_out_of_range_are_refused():
    for tunables in (["--keys=0"], ["--templates=5000"], ["--requests=0"], ["--transport=sctp"]):
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                build(*tunables)
        except SystemExit:
            continue
        raise AssertionError(f"{tunables} was taken")


# ---- MoonGen ----

# What `sender` finds of MoonGen: packets are tables, and it runs for `passes` bursts of four.
LUA = """
local passes, keys = 5, %d
local sent = {}
local function packet()
  local bytes, p = {}, {}
  function p:getBytes() return bytes end
  function p:getUdpPacket()
    return { fill = function(_, with) p.filled = with end, udp = { setSrcPort = function(_, port) p.port = port end } }
  end
  return p
end
local counter = { update = function() end, finalize = function() end }
package.preload["moongen"] = function()
  return { running = function() passes = passes - 1 return passes >= 0 end }
end
package.preload["stats"] = function()
  return { newDevTxCounter = function() return counter end, newDevRxCounter = function() return counter end }
end
package.preload["proto.arp"] = function() return { blockingLookup = function() return "02:00:00:00:00:01" end } end
package.preload["memory"] = function()
  return { createMemPool = function(fill)
    local bufs = { packet(), packet(), packet(), packet() }
    for _, buf in ipairs(bufs) do fill(buf) end
    function bufs:alloc(bytes) self.bytes = bytes end
    function bufs:offloadUdpChecksums() end
    return { bufArray = function() return bufs end }
  end }
end
dofile(arg[1])
sender({ send = function(_, bufs)
  for _, buf in ipairs(bufs) do
    local hex, bytes = {}, buf:getBytes()
    for i = %d, bufs.bytes - 1 do hex[#hex + 1] = string.format("%%02x", bytes[i]) end
    print(string.format('{"bytes": %%d, "port": %%d, "to": %%d, "length": %%d, "payload": "%%s"}', bufs.bytes, buf.port,
      buf.filled.udpDst, buf.filled.pktLength, table.concat(hex)))
  end
end }, {}, { keys = keys, server = "10.77.0.2", address = "10.77.0.1" })
"""


@test
def moongen_packets_carry_wireload_s_requests():
    keys = wireload_keys()
    done = subprocess.run(["lua5.4", "-", os.path.join(HERE, "moongen_memcached.lua")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, input=(LUA % (KEYS, HEADERS_BYTES)).encode(), timeout=60, check=False)
    assert done.returncode == 0, done.stdout.decode()
    packets = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(packets) == 20, packets
    for at, packet in enumerate(packets):
        payload = bytes.fromhex(packet["payload"])
        assert parse_datagram(payload) == (at % KEYS, keys[at % KEYS]), payload
        assert packet["bytes"] == packet["length"] == HEADERS_BYTES + len(payload)
        assert packet["to"] == 11211 and packet["port"] == 20000 + at


def main():
    failed = 0
    appliance.enter_namespace()
    print(f"1..{len(TESTS)}")
    for number, function in enumerate(TESTS, 1):
        try:
            function()
            print(f"ok {number} - {function.__name__}")
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {function.__name__}")
            print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
