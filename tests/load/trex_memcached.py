"""A profile for TRex (ASTF mode): memcached GETs over TCP or UDP, for those who have the hardware.

    trex> start -f trex_memcached.py -m 1000 -t --transport udp --keys 1000

Load the keys first: build/wireload --preload=only --keys=N --key_size=16 with the same N. Keys are wireload's: 8 hexadecimal
digits of the item's number, then 8 of its hash. Over TCP a connection asks for `requests` keys, one at a time; over UDP a flow
is one request, with memcached's frame of 8 bytes. The client side alone is played; the appliance is the server.

TRex counts connections and bytes; it neither verifies values nor matches UDP replies to requests. wireload does both.
"""
import argparse
import struct

from trex.astf.api import (ASTFIPGen, ASTFIPGenDist, ASTFIPGenGlobal, ASTFAssociationRule, ASTFProfile, ASTFProgram,
                           ASTFTCPClientTemplate, ASTFTCPServerTemplate, ASTFTemplate)

PORT = 11211
KEY_SALT = 0x632BE59BD9B4E019
MIX_1, MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MASK = (1 << 64) - 1
TEMPLATES_MAX = 4096  # each key is a template, and templates cost TRex memory


def item_hash(number):
    """As tests/load/items.h has it."""
    mixed = (number + KEY_SALT) & MASK
    mixed = (mixed ^ mixed >> 30) * MIX_1 & MASK
    mixed = (mixed ^ mixed >> 27) * MIX_2 & MASK
    return mixed ^ mixed >> 31


def key_of(number):
    return b"%08x%08x" % (number, item_hash(number) >> 32)


def request(numbers, frame_id=None):
    """A get of these items; with a frame_id as a UDP datagram: id, sequence 0 of 1, reserved."""
    line = b"get " + b" ".join(key_of(number) for number in numbers) + b"\r\n"
    return line if frame_id is None else struct.pack(">HHHH", frame_id, 0, 1, 0) + line


def reply_bytes(key_bytes, value_bytes):
    """Of a hit: VALUE <key> 0 <bytes>, the value, END."""
    return len(b"VALUE  0 \r\n\r\nEND\r\n") + key_bytes + len(str(value_bytes)) + value_bytes


class MemcachedGets:
    """What `register` gives to TRex."""

    def program(self, args, first):
        """What one flow does, beginning with item `first`."""
        numbers = [(first + i) % args.keys for i in range(args.requests)]
        if args.transport == "udp":
            program = ASTFProgram(stream=False)
            program.send_msg(request(numbers[:1], frame_id=first & 0xFFFF))
            program.recv_msg(1)
            return program
        program = ASTFProgram()
        for number in numbers:
            program.send(request([number]))
            program.recv(reply_bytes(len(key_of(number)), args.value_bytes), clear=True)
        return program

    def server_program(self, args):
        """TRex wants one for each template; no port of it is reached when the appliance is the server."""
        program = ASTFProgram(stream=args.transport == "tcp")
        if args.transport == "udp":
            program.recv_msg(1)
        else:
            program.recv(len(request([0])))
        return program

    def create_profile(self, args):
        clients = ASTFIPGenDist(ip_range=[args.client_first, args.client_last], distribution="seq")
        servers = ASTFIPGenDist(ip_range=[args.server, args.server], distribution="seq")
        addresses = ASTFIPGen(glob=ASTFIPGenGlobal(ip_offset="0.0.0.0"), dist_client=clients, dist_server=servers)
        server = ASTFTCPServerTemplate(program=self.server_program(args), assoc=ASTFAssociationRule(port=PORT))
        templates = [ASTFTemplate(client_template=ASTFTCPClientTemplate(program=self.program(args, first), port=PORT,
                                                                        ip_gen=addresses, cps=1),
                                  server_template=server)
                     for first in range(min(args.keys, args.templates))]
        return ASTFProfile(default_ip_gen=addresses, templates=templates)

    def get_profile(self, tunables=(), **_):
        parser = argparse.ArgumentParser(prog="trex_memcached.py")
        parser.add_argument("--transport", choices=("tcp", "udp"), default="tcp")
        parser.add_argument("--keys", type=int, default=64, help="items, as many as wireload preloaded")
        parser.add_argument("--templates", type=int, default=64, help="of them so many begin a flow")
        parser.add_argument("--requests", type=int, default=16, help="of a TCP connection")
        parser.add_argument("--value_bytes", type=int, default=32, help="as preloaded: TCP waits for so many")
        parser.add_argument("--server", default="10.77.0.2")
        parser.add_argument("--client_first", default="10.77.0.16")
        parser.add_argument("--client_last", default="10.77.0.250")
        args = parser.parse_args(list(tunables))
        if not 0 < args.keys or not 0 < args.templates <= TEMPLATES_MAX or not 0 < args.requests:
            parser.error(f"keys, templates (at most {TEMPLATES_MAX}) and requests begin with 1")
        return self.create_profile(args)


def register():
    return MemcachedGets()
