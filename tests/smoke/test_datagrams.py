#!/usr/bin/python3
"""Memcached over UDP, with the 8-byte frame: one datagram, many datagrams, IP fragments, and nonsense."""
import socket
import struct

import appliance
from appliance import WIRE4, WIRE6, exchange, fetched, store, test

FRAME = struct.Struct("!HHHH")  # request id, sequence number, datagrams of the message, reserved
DATAGRAM_MAX = 1400


def udp_socket(host=WIRE4):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.settimeout(10)
    sock.connect((host, appliance.PORT))
    return sock


def receive(sock, request_id):
    """One whole message, put together; checks every frame on the way."""
    pieces, total = {}, None
    while total is None or len(pieces) < total:
        datagram = sock.recv(65536)
        assert len(datagram) <= DATAGRAM_MAX, f"a datagram of {len(datagram)} bytes"
        got_id, sequence, of, reserved = FRAME.unpack_from(datagram)
        assert got_id == request_id, f"answer to request {got_id}, not {request_id}"
        assert reserved == 0
        assert total in (None, of), f"{of} datagrams, or {total}?"
        assert sequence < of and sequence not in pieces, f"datagram {sequence} of {of} twice or beyond the end"
        pieces[sequence], total = datagram[FRAME.size:], of
    return b"".join(pieces[i] for i in range(total))


def ask(sock, request, request_id=1):
    sock.send(FRAME.pack(request_id, 0, 1, 0) + request)
    return receive(sock, request_id)


def stays_silent(sock, request_id=99):
    """True when nothing but the answer to a later request arrives: UDP on one path keeps its order here."""
    return ask(sock, b"version\r\n", request_id).startswith(b"VERSION ")


@test
def set_and_get_in_datagrams_are_answered(target):
    with udp_socket() as sock:
        assert ask(sock, b"set udp 5 0 5\r\nhello\r\n", 7) == b"STORED\r\n"
        assert ask(sock, b"get udp\r\n", 65535) == b"VALUE udp 5 5\r\nhello\r\nEND\r\n"
        assert ask(sock, b"get absent\r\n", 0) == b"END\r\n"
    with target.connect() as stream:
        exchange(stream, b"get udp\r\n", b"VALUE udp 5 5\r\nhello\r\nEND\r\n")


@test
def every_command_of_a_datagram_is_answered_in_order(target):
    """More replies than a burst has packets, and the packet that brought the commands leaves with the first."""
    with target.connect() as stream, udp_socket() as sock:
        for i in range(80):
            store(stream, b"c%02d" % i, b"%02d" % i * (1 + 20 * (i % 7)))
        sock.send(FRAME.pack(3, 0, 1, 0) + b"".join(b"get c%02d\r\n" % i for i in range(80)))
        for i in range(80):
            assert receive(sock, 3) == fetched(b"c%02d" % i, b"%02d" % i * (1 + 20 * (i % 7)))
        sock.send(FRAME.pack(4, 0, 1, 0) + b"get c01\r\nset c01 0 0 3\r\nnew\r\nget c01\r\nget none\r\n")
        assert receive(sock, 4) == fetched(b"c01", b"01" * 21)
        assert [receive(sock, 4) for _ in range(3)] == [b"STORED\r\n", fetched(b"c01", b"new"), b"END\r\n"]


@test
def large_value_arrives_in_many_datagrams(target):
    value = bytes(range(256)) * 254
    with target.connect() as stream, udp_socket() as sock:
        store(stream, b"many", value)
        for request_id in range(20):
            assert ask(sock, b"get many\r\n", request_id) == fetched(b"many", value)


@test
def value_that_fills_the_last_datagram_exactly_arrives(target):
    payload = DATAGRAM_MAX - FRAME.size
    with target.connect() as stream, udp_socket() as sock:
        for length in range(payload * 2 - 40, payload * 2 + 5):
            value = b"v" * length
            store(stream, b"edge", value)
            assert ask(sock, b"get edge\r\n", length) == fetched(b"edge", value), length


@test
def request_in_ip_fragments_is_put_together(target):
    value = bytes(range(256)) * 110
    with target.connect() as stream, udp_socket() as sock:
        assert ask(sock, b"set fragments 0 0 %d\r\n%s\r\n" % (len(value), value)) == b"STORED\r\n"
        exchange(stream, b"get fragments\r\n", fetched(b"fragments", value))


@test
def request_in_ipv6_fragments_is_put_together(target):
    if not appliance.ipv6_possible():
        raise appliance.Skip("this kernel has no IPv6")
    value = bytes(range(256)) * 30
    with target.connect() as stream, udp_socket(WIRE6) as sock:
        assert ask(sock, b"set fragments6 0 0 %d\r\n%s\r\n" % (len(value), value)) == b"STORED\r\n"
        assert ask(sock, b"get fragments6\r\n", 3) == fetched(b"fragments6", value)
        exchange(stream, b"get fragments6\r\n", fetched(b"fragments6", value))


@test
def get_sees_the_set_before_it_though_both_come_in_one_burst(_target):
    """Sets, gets and others of one key, sent without waiting: each is answered as if the one before had been."""
    with udp_socket() as sock:
        for _ in range(20):
            for i in range(30):
                sock.send(FRAME.pack(3 * i, 0, 1, 0) + b"set turn 0 0 2\r\n%02d\r\n" % i)
                sock.send(FRAME.pack(3 * i + 1, 0, 1, 0) + b"get turn\r\n")
                if i % 7 == 3:
                    sock.send(FRAME.pack(3 * i + 2, 0, 1, 0) + b"append turn 0 0 1\r\n+\r\n")
            answers = [sock.recv(2048) for _ in range(64)]
            answers = {FRAME.unpack_from(answer)[0]: answer[FRAME.size:] for answer in answers}
            for i in range(30):
                assert answers[3 * i] == b"STORED\r\n"
                assert answers[3 * i + 1] == fetched(b"turn", b"%02d" % i), (i, answers[3 * i + 1])


@test
def set_that_is_not_quite_plain_is_answered_as_over_a_stream(target):
    """What the short way of plain sets must leave to the others."""
    with target.connect() as stream:
        for request in [b"set odd 0 0 3\r\nabcd\r\n", b"set odd 0 0 3\r\nabc\n\r\n", b"set odd x 0 3\r\nabc\r\n",
                        b"set  odd 0 0 3\r\nabc\r\n", b"set odd 0 -1 3\r\nabc\r\n", b"set odd 4294967295 0 3\r\nabc\r\n",
                        b"set odd 0 0 -3\r\nabc\r\n", b"set %s 0 0 3\r\nabc\r\n" % (b"k" * 251),
                        b"set odd 0 0 3 noreplyx\r\nabc\r\n", b"set odd 0 0 0\r\n\r\n"]:
            stream.sendall(b"delete odd noreply\r\n" + request + b"get odd\r\nversion\r\n")
            said = b""
            while b"VERSION" not in said:
                said += stream.recv(4096)
            exchange(stream, b"delete odd noreply\r\nget odd\r\n", b"END\r\n")
            with udp_socket() as sock:  # one of its own: what follows a spoilt value is answered, too
                first = ask(sock, request)
                assert said.startswith(first), (request, said, first)
                if first == b"STORED\r\n":
                    assert ask(sock, b"get odd\r\n") == said[len(first):said.index(b"VERSION")], request


@test
def noreply_sends_nothing(_target):
    with udp_socket() as sock:
        sock.send(FRAME.pack(5, 0, 1, 0) + b"set quiet 0 0 1 noreply\r\nx\r\n")
        assert stays_silent(sock)
        assert ask(sock, b"get quiet\r\n", 6) == fetched(b"quiet", b"x")


@test
def message_of_several_datagrams_is_dropped(_target):
    with udp_socket() as sock:
        sock.send(FRAME.pack(5, 0, 2, 0) + b"get a\r\n")
        assert stays_silent(sock)


@test
def frame_without_request_is_dropped(_target):
    with udp_socket() as sock:
        for length in range(9):
            sock.send(bytes(length))
        sock.send(FRAME.pack(5, 0, 1, 0) + b"get without-newline")
        assert stays_silent(sock)


@test
def many_requests_at_once_are_each_answered_once(_target):
    with udp_socket() as sock:
        assert ask(sock, b"set burst 0 0 1\r\nx\r\n", 1000) == b"STORED\r\n"
        for start in range(0, 960, 32):
            for request_id in range(start, start + 32):
                sock.send(FRAME.pack(request_id, 0, 1, 0) + b"get burst\r\n")
            seen = set()
            for _ in range(32):
                datagram = sock.recv(2048)
                seen.add(FRAME.unpack_from(datagram)[0])
                assert datagram[FRAME.size:] == fetched(b"burst", b"x")
            assert seen == set(range(start, start + 32))


@test
def gets_among_other_requests_are_each_answered_once(_target):
    """Small values and absent ones, values that take most of a datagram, and sets, at once."""
    values = {b"small": b"x" * 10, b"empty": b"", b"most": b"y" * 1080, b"over": b"y" * 1300, b"two": b"z" * 3000}
    with udp_socket() as sock:
        for key, value in values.items():
            assert ask(sock, b"set %s 9 0 %d\r\n%s\r\n" % (key, len(value), value)) == b"STORED\r\n"
        keys = [*values, b"absent"]
        for start in range(0, 1024, 32):
            expected, answers = {}, {}
            for request_id in range(start, start + 32):
                key = keys[request_id * 7 % len(keys)]
                if request_id % 5 == 0:
                    request, expected[request_id] = b"set other 0 0 2\r\nab\r\n", b"STORED\r\n"
                else:
                    request = b"get %s\r\n" % key
                    expected[request_id] = fetched(key, values[key], 9) if key in values else b"END\r\n"
                sock.send(FRAME.pack(request_id, 0, 1, 0) + request)
            while any(len(answers.get(i, b"")) < len(answer) for i, answer in expected.items()):
                datagram = sock.recv(2048)
                request_id = FRAME.unpack_from(datagram)[0]
                answers[request_id] = answers.get(request_id, b"") + datagram[FRAME.size:]
            assert answers == expected


if __name__ == "__main__":
    appliance.main()
