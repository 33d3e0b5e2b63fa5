#!/usr/bin/python3
"""Logins: memcached's text one and SASL PLAIN, hashes that take long, clients that do not wait, the file read again."""
import os
import signal
import socket
import struct
import tempfile

import appliance
from appliance import BUILD, exchange, read_exactly, read_to_eof, test

HEADER = struct.Struct("!BBHBBHIIQ")
LIST, AUTH, VERSION, NOOP, GETQ, SET = 0x20, 0x21, 0x0B, 0x0A, 0x09, 0x01
DENIED = 0x20
FAILED = b"CLIENT_ERROR authentication failure\r\n"

# Hashes of "secret" and "changed", and one of neither that takes a quarter of a second or more.
CHEAP = "$y$j75$saltsaltsaltsalt$DsMjm5uqUiFBUYLB9CLnX8E/M0k0mOVJBUWdpCrUik9"
DIGEST = "xDrMCoCSsBWt0sUUEhib9k4XyuzorE/Cy.p8vW2kPuFL11C2vssxWtqahFC17fGDdU7D93VtnRfRvymd7unSL/"
CHANGED = "$6$saltsalt$" + DIGEST
SLOW = "$6$rounds=600000$saltsalt$" + DIGEST
USERS = tempfile.NamedTemporaryFile("w", prefix="wirecache-users-")  # pylint: disable=consider-using-with


def write_users(**hashes):
    USERS.seek(0)
    USERS.truncate()
    USERS.write("# users of a test\n" + "".join(f"{user}:{text}\n" for user, text in hashes.items()))
    USERS.flush()


def answers_strangers(self):
    """Ready is who refuses us: the harness itself has no login."""
    try:
        with self.connect(timeout_s=1) as stream:
            stream.sendall(b"version\r\n")
            return stream.recv(100) == b"CLIENT_ERROR unauthenticated\r\n"
    except OSError:
        return False


def packet(opcode, key=b"", value=b"", extras=b"", opaque=0):
    body = extras + key + value
    return HEADER.pack(0x80, opcode, len(key), len(extras), 0, 0, len(body), opaque, 0) + body


def plain(user, password):
    return packet(AUTH, b"PLAIN", b"\0" + user + b"\0" + password)


def receive(stream):
    """Opcode, status and body of one reply."""
    fields = HEADER.unpack(read_exactly(stream, HEADER.size))
    assert fields[0] == 0x81, fields
    return fields[1], fields[5], read_exactly(stream, fields[6])


def ask(stream, request):
    stream.sendall(request)
    return receive(stream)


def login_text(user=b"user", password=b"secret"):
    block = user + b" " + password
    return b"set auth 0 0 %d\r\n%s\r\n" % (len(block), block)


def nothing_came(stream):
    stream.setblocking(False)
    try:
        assert stream.recv(100, socket.MSG_PEEK), "closed while its login was checked"
        return False
    except BlockingIOError:
        return True
    finally:
        stream.settimeout(60)


@test
def text_client_logs_in_and_is_served(target):
    with target.connect() as stream:
        exchange(stream, b"get k\r\n", b"CLIENT_ERROR unauthenticated\r\n")
        exchange(stream, login_text(password=b"wrong"), FAILED)
        exchange(stream, login_text(user=b"nobody"), FAILED)
        exchange(stream, login_text(), b"STORED\r\n")
        exchange(stream, b"set k 0 0 5\r\nhello\r\nget k\r\n", b"STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n")


@test
def sasl_client_logs_in_and_is_served(target):
    with target.connect() as stream:
        assert ask(stream, packet(LIST)) == (LIST, 0, b"PLAIN")
        assert ask(stream, packet(VERSION))[1] == 0
        assert ask(stream, plain(b"user", b"wrong")) == (AUTH, DENIED, b"Auth failure.")
        stream.sendall(plain(b"user", b"secret") + packet(SET, b"k", b"hello", bytes(8)) + packet(GETQ, b"k"))
        assert receive(stream) == (AUTH, 0, b"Authenticated")
        assert receive(stream) == (SET, 0, b"")
        assert receive(stream) == (GETQ, 0, bytes(4) + b"hello")


@test
def sasl_client_without_login_is_told_and_closed(target):
    with target.connect() as stream:
        assert ask(stream, packet(NOOP)) == (NOOP, DENIED, b"Auth failure.")
        assert read_to_eof(stream) == b""


@test
def requests_behind_a_login_are_answered_in_order(target):
    with target.connect() as stream:
        stream.sendall(login_text(password=b"wrong") + login_text(password=b"new password") + login_text() + b"mn\r\n")
        assert read_exactly(stream, 2 * len(FAILED) + 12) == FAILED + FAILED + b"STORED\r\nMN\r\n"


@test
def slow_hash_holds_up_nobody_else(target):
    def fifty_answers_came_first():
        with target.connect() as slow, target.connect() as other:
            exchange(other, login_text(), b"STORED\r\n")
            slow.sendall(login_text(user=b"slow"))
            for _ in range(50):
                exchange(other, b"mn\r\n", b"MN\r\n")
            first = nothing_came(slow)
            assert read_exactly(slow, len(FAILED)) == FAILED
            return first
    # Other programs may keep this one from its core for longer than the hash takes: then once more.
    appliance.wait_for(fifty_answers_came_first, "fifty answers before the slow verdict")


@test
def half_closed_client_still_gets_its_verdict(target):
    with target.connect() as stream:
        stream.sendall(login_text(user=b"slow") + b"mn\r\n")
        stream.shutdown(socket.SHUT_WR)
        assert read_to_eof(stream) == FAILED + b"CLIENT_ERROR unauthenticated\r\n"


@test
def clients_that_leave_before_their_verdict_do_no_harm(target):
    for _ in range(100):
        with target.connect() as stream:
            stream.sendall(login_text(password=os.urandom(4).hex().encode()))
    # Too many at once are refused, so an answer that is not known yet says that the others are done.
    def another():
        with target.connect() as stream:
            stream.sendall(login_text(user=b"patient"))
            return read_exactly(stream, 8) == b"STORED\r\n"
    appliance.wait_for(another, "the login service to be done with the others")


@test
def logins_are_counted_and_repeated_ones_are_known(target):
    def counters(stream):
        stream.sendall(b"stats\r\n")
        text = appliance.read_until(stream, b"END\r\n").decode()
        found = dict(line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("STAT "))
        worker = {row["counter"]: row["total"] for row in target.json("stats", "workers")}
        return [int(found["auth_cmds"]), int(found["auth_errors"]), worker["logins_cached"],
                worker["logins_hashed"]]
    with target.connect() as stream:
        exchange(stream, login_text(), b"STORED\r\n")
        before = counters(stream)
        for _ in range(20):
            with target.connect() as again:
                exchange(again, login_text(), b"STORED\r\n")
        with target.connect() as wrong:
            exchange(wrong, login_text(password=b"wrong"), FAILED)
        after = counters(stream)
        assert [b - a for a, b in zip(before, after)] == [21, 1, 20, 1], (before, after)


def reload(target, text):
    """SIGHUP; waits until the log says so."""
    with open(target.log_path, "rb") as log:
        log.seek(0, os.SEEK_END)
        target.process.send_signal(signal.SIGHUP)
        seen = b""

        def said():
            nonlocal seen
            seen += log.read()
            return text in seen
        appliance.wait_for(said, "the file to be read again")


@test
def file_is_read_again_at_sighup(target):
    with target.connect() as before, target.connect() as stream:
        exchange(before, login_text(), b"STORED\r\n")
        write_users(user=CHANGED)
        reload(target, b"read again")
        exchange(before, b"mn\r\n", b"MN\r\n")
        exchange(stream, login_text(), FAILED)
        exchange(stream, login_text(password=b"changed"), b"STORED\r\n")
        write_users(user="plain")
        reload(target, b"no hash of a password")
        with target.connect() as again:
            exchange(again, login_text(password=b"changed"), b"STORED\r\n")


@test
def plain_passwords_and_udp_are_refused_at_start(target):
    write_users(user="plain-password")
    common = [f"{BUILD}/wirecached", "-c", "/dev/null", "--port.x.device=net_null0", "--port.x.ipv4=192.0.2.1/24",
              f"--control.socket={target.directory}/other.sock", f"--auth.file={USERS.name}"]
    done = appliance.run(*common)
    assert done.returncode == 1 and b"no hash of a password" in done.stdout, done
    assert b"plain-password" not in done.stdout
    done = appliance.run(*common, "--udp.port=11211", "--check-config")
    assert done.returncode == 2 and b"logins, which UDP cannot carry" in done.stdout, done


if __name__ == "__main__":
    write_users(user=CHEAP, patient=CHEAP, slow=SLOW)
    appliance.Target.answers = answers_strangers
    appliance.main({"auth": {"file": USERS.name}, "udp": {"port": 0}})
