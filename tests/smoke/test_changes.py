#!/usr/bin/python3
"""Changing a running appliance: applied live, refused whole, rolled back, drained; and a control thread that hangs."""
import contextlib
import os
import signal
import socket
import threading

import appliance
import control_thread
from appliance import exchange, fetched, started, store, test

EXIT_OK, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_RESTART = 0, 1, 3, 5


def rewrite(target, sections):
    """Gives the appliance's file other values, and returns its path."""
    for name, keys in sections.items():
        target.options.setdefault(name, {}).update(keys)
    with open(target.config_path, "w", encoding="ascii") as config:
        config.write(target.config_text())
    return target.config_path


def settled(target, condition, what):
    """Workers take a change over within a pass; nothing tells when, so ask until it shows."""
    appliance.wait_for(condition, f"{what}: {target.log_tail()[-300:]}")


class Load(threading.Thread):
    """Requests on a few connections until stopped; every answer is checked."""

    def __init__(self, target, connections=4):
        super().__init__()
        self.streams = [target.connect() for _ in range(connections)]
        self.ended, self.requests, self.failure = threading.Event(), 0, None

    def run(self):
        try:
            while not self.ended.is_set():
                for number, stream in enumerate(self.streams):
                    key, value = b"load%d" % number, b"%d" % self.requests
                    store(stream, key, value)
                    exchange(stream, b"get %s\r\n" % key, fetched(key, value))
                    self.requests += 2
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def more(self, count=200):
        """Waits for so many further requests: they are answered now, whatever else happens."""
        before = self.requests
        appliance.wait_for(lambda: self.failure or self.requests >= before + count, f"{count} requests")
        assert self.failure is None, f"a request failed: {self.failure!r}"

    def __enter__(self):
        self.start()
        self.more()
        return self

    def __exit__(self, kind, value, trace):
        self.ended.set()
        self.join()
        for stream in self.streams:
            stream.close()
        if kind is None:
            assert self.failure is None, f"a request failed: {self.failure!r}"


@test
def changes_under_load_fail_no_request(_target):
    with started() as target, Load(target) as load:
        for limit in range(20):
            path = rewrite(target, {"tcp": {"connections_max": str(100 + limit)},
                                    "memory": {"limit": "64m" if limit % 2 else "128m"},
                                    "workers": {"idle": ("adaptive", "spin", "sleep")[limit % 3]},
                                    "acl": {"allow": f"{appliance.HOST4}/32,10.9.{limit}.0/24"}})
            done = target.wirectl("config", "apply", path)
            assert done.returncode == EXIT_OK, done.stdout.decode()
            if limit % 4 == 0:
                target.process.send_signal(signal.SIGHUP)
            load.more(40)
        assert target.stats()["max_connections"] == "119", target.stats()["max_connections"]


@test
def bad_file_under_load_changes_nothing_and_tells_line_and_column(_target):
    with started() as target, Load(target) as load:
        before = target.json("config", "show", "--effective")
        bad = os.path.join(target.directory, "bad.conf")
        with open(bad, "w", encoding="ascii") as config:
            config.write(target.config_text() + "[tcp]\nconnections_max = 7\n  conections_max = 7\n")
        line = target.config_text().count("\n") + 3
        done = target.wirectl("config", "apply", bad)
        assert done.returncode == EXIT_FAILED, done.returncode
        expected = f'{bad}:{line}:3: unknown key "conections_max" in [tcp]: did you mean "connections_max"?'
        assert expected in done.stdout.decode(), done.stdout.decode()
        assert target.json("config", "show", "--effective") == before
        load.more()


@test
def restart_options_are_said(_target):
    with started() as target:
        done = target.wirectl("config", "apply", rewrite(target, {"tcp": {"rto_min": "50ms"}}))
        assert done.returncode == EXIT_RESTART, done.returncode
        assert "restart" in done.stdout.decode(), done.stdout.decode()


@test
def unconfirmed_change_comes_back_by_itself(_target):
    with started() as target:
        before = target.stats()["max_connections"]
        path = rewrite(target, {"tcp": {"connections_max": "77"}})
        done = target.wirectl("config", "apply", path, "--confirm-within", "1")
        assert done.returncode == EXIT_OK, done.stdout.decode()
        settled(target, lambda: target.stats()["max_connections"] == before, "the old limit")
        assert target.wirectl("config", "confirm").returncode == EXIT_FAILED


@test
def undo_brings_the_old_value_back(_target):
    with started() as target:
        before = target.stats()["max_connections"]
        assert target.wirectl("config", "apply", rewrite(target, {"tcp": {"connections_max": "77"}})).returncode == EXIT_OK
        assert target.stats()["max_connections"] == "77"
        assert target.wirectl("config", "undo").returncode == EXIT_OK
        assert target.stats()["max_connections"] == before


@test
def conf_d_overrides_the_file(_target):
    with started() as target:
        os.mkdir(os.path.join(target.directory, "conf.d"))
        with open(os.path.join(target.directory, "conf.d", "10-more.conf"), "w", encoding="ascii") as config:
            config.write("[tcp]\nconnections_max = 55\n")
        assert target.wirectl("config", "apply").returncode == EXIT_OK
        assert target.stats()["max_connections"] == "55"
        assert "conf.d/10-more.conf:2" in target.wirectl("config", "show").stdout.decode()


@test
def limit_raised_beyond_the_first_is_served(_target):
    with started({"tcp": {"connections_max": "20"}}) as target:
        assert target.wirectl("config", "apply", rewrite(target, {"tcp": {"connections_max": "400"}})).returncode == EXIT_OK
        settled(target, lambda: target.stats()["max_connections"] == "400", "the new limit")
        streams = [target.connect() for _ in range(300)]
        for number, stream in enumerate(streams):
            store(stream, b"k%d" % number, b"v")
        for number, stream in enumerate(streams):
            exchange(stream, b"get k%d\r\n" % number, fetched(b"k%d" % number, b"v"))
            stream.close()


@test
def source_outside_of_the_list_is_shut_out_and_let_in_again(_target):
    with started() as target, target.connect() as stream:
        store(stream, b"k", b"v")
        done = target.wirectl("acl", "add", "192.0.2.0/24")
        assert done.returncode == EXIT_OK, done.stdout.decode()
        stream.settimeout(30)
        try:
            assert stream.recv(1) == b"", "served on"
        except ConnectionResetError:
            pass
        assert not target.answers()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(0.3)
            datagrams.sendto(b"\0\1\0\0\0\1\0\0get k\r\n", (appliance.WIRE4, target.port))
            try:
                raise AssertionError(f"answered {datagrams.recv(100)!r}")
            except TimeoutError:
                pass
        settled(target, lambda: target.json("acl", "show")["dropped_not_allowed"] >= 2, "both to be dropped")
        assert target.wirectl("acl", "add", f"{appliance.HOST4}/32").returncode == EXIT_OK
        settled(target, target.answers, "an answer")


@test
def connections_above_the_rate_of_a_source_wait(_target):
    with started({"acl": {"connections_per_s": "3"}}) as target:
        def dropped():
            for _ in range(30):
                with contextlib.suppress(OSError):
                    socket.create_connection((appliance.WIRE4, target.port), timeout=0.05).close()
            return target.json("acl", "show")["dropped_too_many"] >= 1
        settled(target, dropped, "a connection to be dropped")


@test
def silent_connection_is_closed_busy_one_stays(_target):
    with started({"tcp": {"idle_timeout": "3s"}}) as target, Load(target, 1) as load:
        with target.connect() as silent:
            store(silent, b"k", b"v")
            assert appliance.read_to_eof(silent) == b""
        load.more()


@test
def udp_is_turned_on_and_off(_target):
    def answered():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(0.3)
            datagrams.connect((appliance.WIRE4, target.port))
            try:
                datagrams.send(b"\0\1\0\0\0\1\0\0version\r\n")
                return b"VERSION" in datagrams.recv(100)
            except OSError:
                return False
    with started() as target:
        settled(target, answered, "UDP")
        assert target.wirectl("config", "apply", rewrite(target, {"udp": {"port": "0"}})).returncode == EXIT_OK
        settled(target, lambda: not answered(), "no UDP")
        assert target.wirectl("config", "undo").returncode == EXIT_OK
        settled(target, answered, "UDP again")


@test
def drain_refuses_new_serves_old_and_ends(_target):
    with started() as target:
        with Load(target, 1) as load:
            silent = target.connect()
            store(silent, b"k", b"v")
            assert target.wirectl("drain", "start", "--deadline", "0").returncode == EXIT_OK
            settled(target, lambda: refused(target), "a refusal")
            assert appliance.read_to_eof(silent) == b"", "a silent connection is closed"
            load.more()
            settled(target, lambda: target.json("drain", "status")["connections"] == 1, "one connection left")
            assert target.wirectl("status").returncode != EXIT_OK
        assert target.process.wait(timeout=60) == 0, target.log_tail()
        assert target.leftovers() == [], target.leftovers()


def refused(target):
    try:
        socket.create_connection((appliance.WIRE4, target.port), timeout=5).close()
        return False
    except ConnectionRefusedError:
        return True


@test
def drain_ends_at_its_deadline_and_can_be_stopped(_target):
    with started() as target, contextlib.suppress(ConnectionError):
        with appliance.Unread(target):
            assert target.wirectl("drain", "start").returncode == EXIT_OK
            settled(target, lambda: refused(target), "a refusal")
            assert target.wirectl("drain", "stop").returncode == EXIT_OK
        settled(target, target.answers, "an answer")
        load = Load(target, 1)
        load.start()
        load.more()
        assert target.wirectl("drain", "start", "--deadline", "1").returncode == EXIT_OK
        assert target.process.wait(timeout=60) == 0, target.log_tail()
        load.join()


@test
def control_thread_that_hangs_stops_no_request(_target):
    with started() as target, Load(target) as load:
        with control_thread.Held(target):
            assert target.wirectl("-T", "0.5", "status").returncode == EXIT_UNREACHABLE
            load.more(2000)
            with target.connect() as fresh:
                store(fresh, b"fresh", b"value")
        settled(target, lambda: target.wirectl("status").returncode == EXIT_OK, "the control thread")
        load.more()


@test
def control_thread_that_dies_stops_no_request(_target):
    with started() as target:
        with Load(target) as load:
            control_thread.end(target)
            assert target.wirectl("-T", "0.5", "status").returncode == EXIT_UNREACHABLE
            load.more(2000)
            with target.connect() as fresh:
                store(fresh, b"fresh", b"value")
            assert target.alive() and control_thread.state(target.process.pid) == "Z"
        target.stop(signal.SIGKILL)  # who would take a SIGTERM is gone: systemd's watchdog ends it so


@test
def client_that_never_reads_holds_up_nobody(_target):
    with started() as target, Load(target) as load:
        blocked = []
        for _ in range(5):
            client = socket.socket(socket.AF_UNIX)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(target.socket_path)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(2000):
                    client.sendall(b'{"command": ["config", "show", "--effective"]}\n')
            blocked.append(client)
        load.more(2000)
        assert target.wirectl("status").returncode == EXIT_OK
        for client in blocked:
            client.close()


@test
def clients_that_say_nothing_keep_no_operator_out(_target):
    with started() as target, contextlib.ExitStack() as stack:
        for _ in range(20):  # more than there are places
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(target.socket_path)
        for _ in range(3):
            assert target.wirectl("-T", "30", "status").returncode == EXIT_OK


@test
def flood_of_garbage_on_the_socket_holds_up_nobody(_target):
    ended = threading.Event()

    def flood():
        while not ended.is_set():
            with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
                client.connect(target.socket_path)
                client.sendall(os.urandom(65536))
    with started() as target, Load(target) as load:
        floods = [threading.Thread(target=flood) for _ in range(2)]
        for thread in floods:
            thread.start()
        try:
            load.more(2000)
        finally:
            ended.set()
            for thread in floods:
                thread.join()
        settled(target, lambda: target.wirectl("status").returncode == EXIT_OK, "the control socket")


if __name__ == "__main__":
    appliance.main_standalone()
