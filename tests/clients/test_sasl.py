#!/usr/bin/python3
"""The client libraries that can log in, against a server that wants SASL: everything works with the right password,
nothing with a wrong one. What is not installed is skipped.

usage: test_sasl.py [--small]       as in test_matrix.py

The appliance gets a file of users; with SMOKE_TARGET=memcached the server is memcached -S with a user database that
saslpasswd2 makes. Neither has UDP then.
"""
import ctypes
import os
import re
import subprocess

import matrix
import appliance
from appliance import PORT, WIRE4, Skip, main, must, run, test

USER, PASSWORD = "wire", "s3cret"
SERVER = (WIRE4, str(PORT))


def password_hash():
    """The password as crypt(3) hides it (SHA-512)."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(PASSWORD.encode(), b"$6$rounds=1000$wirecache").decode()


class SaslAppliance(appliance.Appliance):
    """build/wirecached with one user."""

    def __init__(self, options=None):
        super().__init__(options)
        users = os.path.join(self.directory, "users")
        with open(users, "w", encoding="ascii") as out:
            out.write(f"{USER}:{password_hash()}\n")
        os.chmod(users, 0o600)
        self.options = {"auth": {"file": users}, "udp": {"port": 0}}

    def answers(self):
        return matrix.binary_version_answered(self)


class SaslMemcached(appliance.Memcached):
    """memcached -S with one user, on the appliance's address."""

    def start(self):
        users = os.path.join(self.directory, "users.db")
        if not os.path.exists("/usr/sbin/saslpasswd2"):
            raise SystemExit("Bail out! saslpasswd2 is not installed: make test-clients")
        must("/usr/sbin/saslpasswd2", "-p", "-c", "-f", users, "-a", "memcached", USER, input=PASSWORD.encode())
        with open(os.path.join(self.directory, "memcached.conf"), "w", encoding="ascii") as config:
            config.write(f"mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {users}\n")
        must("ip", "address", "add", f"{WIRE4}/24", "dev", "lo")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["memcached", "-u", "root", "-S", "-l", WIRE4, "-p", str(PORT)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, "SASL_CONF_PATH": self.directory},
                                            preexec_fn=appliance.die_with_parent)
        self.wait_ready()

    def answers(self):
        return matrix.binary_version_answered(self)


def fresh_keys(client):
    """Keys of an earlier library must not be in the way, and only who is logged in could flush them."""
    return re.sub(r"[^a-z]", "", client.library.lower()) + "-"


def examination(client):
    def examine(_target):
        try:
            matrix.examine(client, "SASL", SERVER, fresh_keys(client), (USER, PASSWORD))
        except Skip as reason:
            matrix.record(client, "SASL", skipped=str(reason))
            raise
    examine.__name__ = f"{fresh_keys(client)[:-1]}_logged_in_all_checks_hold"
    return examine


def refusal(client):
    """A wrong password: no check that wants an answer may hold. A driver may die of it."""
    def refused(_target):
        matrix.library_version(client)
        done = run(*client.command(), "SASL", *SERVER, fresh_keys(client), USER, "wr0ng", env=matrix.environment())
        text = done.stdout.decode("utf-8", "replace")
        assert not re.search(r"^pass (set_then_get|add_absent|multiget_100|stats)\b", text, re.MULTILINE), text
        assert done.returncode != 0 or "fail set_then_get" in text, text
    refused.__name__ = f"{fresh_keys(client)[:-1]}_wrong_password_is_refused"
    return refused


for each in matrix.chosen():
    if "SASL" in each.protocols:
        test(examination(each))
        test(refusal(each))

if __name__ == "__main__":
    main(kinds=(SaslAppliance, SaslMemcached))
