#!/usr/bin/python3
"""scripts/run-tap, the way to try the appliance: what it says, what it refuses, what it leaves behind."""
import os
import shutil
import signal
import subprocess
import tempfile

import appliance
from appliance import BUILD, ROOT, WIRE4, must, run, test, wait_for

SCRIPT = os.path.join(ROOT, "scripts", "run-tap")


class Running:
    """scripts/run-tap in a process group of its own, as a terminal starts it."""

    def __init__(self, *arguments):
        self.directory = tempfile.mkdtemp(prefix="wirecache-smoke-")
        self.socket_path = os.path.join(self.directory, "made", "control.sock")
        self.output_path = os.path.join(self.directory, "output")
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen([SCRIPT, "--dir", BUILD, "--socket", self.socket_path, *arguments],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                            start_new_session=True, preexec_fn=appliance.die_with_parent)

    def output(self):
        with open(self.output_path, encoding="utf-8", errors="replace") as output:
            return output.read()

    def wait_ready(self):
        wait_for(lambda: self.process.poll() is not None or "is ready" in self.output(), "run-tap to be ready")
        assert self.process.poll() is None, self.output()

    def end(self, by=signal.SIGINT):
        """What Ctrl-C does: the signal goes to the whole group."""
        os.killpg(self.process.pid, by)
        return self.process.wait(timeout=appliance.END_DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)


def namespace_state():
    return must("ip", "-o", "link") + must("ip", "route", "show", "table", "all")


def temporary_directories():
    return sorted(name for name in os.listdir("/tmp") if name.startswith("wirecache-run."))


@test
def run_answers_and_ctrl_c_removes_everything(_target):
    before = (namespace_state(), temporary_directories())
    with Running() as running:
        running.wait_ready()
        text = running.output()
        assert f"nc -q1 {WIRE4} 11211" in text and f"ping {WIRE4}" in text and "status" in text, text
        pipe = f"printf 'set k 0 0 5\\r\\nhello\\r\\nget k\\r\\nquit\\r\\n' | nc {WIRE4} 11211"
        assert must("sh", "-c", pipe) == b"STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n"
        must("ping", "-c", "3", "-w", "60", "-i", "0.05", WIRE4)
        must(f"{BUILD}/wirectl", "-s", running.socket_path, "status")
        assert running.end() in (0, 130), running.output()
        wait_for(lambda: not appliance.has_interface("wire0"), "wire0 to go")
        assert (namespace_state(), temporary_directories()) == before
        assert not os.path.exists(os.path.dirname(running.socket_path))
        assert not os.path.exists("/var/run/dpdk/run-wire0")


@test
def second_run_at_the_same_time_is_refused(_target):
    with Running() as running:
        running.wait_ready()
        with Running() as second:
            assert second.process.wait(timeout=appliance.END_DEADLINE_S) == 1
            assert "wire0 exists already" in second.output(), second.output()
        must(f"{BUILD}/wirectl", "-s", running.socket_path, "status")


@test
def subnet_in_use_is_refused(_target):
    must("ip", "tuntap", "add", "dev", "taken0", "mode", "tap")
    must("ip", "address", "add", "10.77.0.130/25", "dev", "taken0")
    must("ip", "link", "set", "taken0", "up")
    try:
        with Running() as running:
            assert running.process.wait(timeout=appliance.END_DEADLINE_S) == 1
            assert "10.77.0.0/24 is in use" in running.output(), running.output()
            assert not appliance.has_interface("wire0")
    finally:
        must("ip", "tuntap", "delete", "dev", "taken0", "mode", "tap")


@test
def host_without_ipv6_gets_ipv4(_target):
    switch = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
    if not os.path.exists(switch):
        raise appliance.Skip("this kernel has no IPv6 to switch off")
    with open(switch, "w", encoding="ascii") as off:
        off.write("1")
    try:
        with Running() as running:
            running.wait_ready()
            assert "IPv6 is switched off" in running.output(), running.output()
            must("ping", "-c", "3", "-w", "60", "-i", "0.05", WIRE4)
    finally:
        with open(switch, "w", encoding="ascii") as on:
            on.write("0")


@test
def ordinary_user_is_told_to_be_root(_target):
    done = run("setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", f"cat '{SCRIPT}' | bash -s -- --dir '{BUILD}'")
    assert done.returncode == 1 and b"by root only" in done.stdout, done.stdout


@test
def refused_start_says_why_and_leaves_nothing(_target):
    before = temporary_directories()
    with Running("--", "--no-such-flag") as running:
        assert running.process.wait(timeout=appliance.END_DEADLINE_S) == 1
        assert "before it was ready" in running.output(), running.output()
        assert not appliance.has_interface("wire0")
    assert temporary_directories() == before


if __name__ == "__main__":
    appliance.main_standalone()
