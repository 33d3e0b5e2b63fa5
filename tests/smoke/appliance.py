"""What every smoke test stands on: a network namespace of its own, an appliance in it, and TAP output.

A test program moves itself into a fresh, nameless network namespace before anything else, so its plain sockets and its
children are inside, nothing outside can be touched, and the kernel removes the namespace with the last process,
however that ends. There is no default route. The appliance gets a temporary directory for configuration, socket and
log; the file prefix of its EAL is private as well, so several programs may run at once.

SMOKE_TARGET=memcached puts Debian's memcached in the appliance's place: the same client tests must pass there, which
is how the tests themselves are checked. Tests that only an appliance can pass are skipped then.
SMOKE_TRACE=DIR writes what crosses the wire to DIR/<program>.pcap.
"""
import collections
import contextlib
import ctypes
import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("SMOKE_BUILD", os.path.join(ROOT, "build"))
TARGET = os.environ.get("SMOKE_TARGET", "wirecached")
INTERFACE = "wire0"
HOST4, WIRE4 = "10.77.0.1", "10.77.0.2"
HOST6, WIRE6 = "fd77::1", "fd77::2"
PORT = 11211
START_DEADLINE_S = 120
END_DEADLINE_S = 60
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

Test = collections.namedtuple("Test", "function appliance_only")
TESTS = []
COUNTER = itertools.count()


class Skip(Exception):
    """Raised by a test that cannot run here; its text is the reason."""


def test(function=None, *, appliance_only=False):
    """Registers a test: a function that takes the target and raises when something is wrong."""
    if function is None:
        return lambda f: test(f, appliance_only=appliance_only)
    TESTS.append(Test(function, appliance_only))
    return function


def run(*command, timeout_s=120, **options):
    """A command's result, with its output as bytes; never raises for a status."""
    options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
    if options["stdin"] is None:
        del options["stdin"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, check=False,
                          **options)


def must(*command, **options):
    """The output of a command that has to succeed."""
    done = run(*command, **options)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stdout.decode()}"
    return done.stdout


def die_with_parent():
    """In a child before exec: a test that is killed takes its server, and with it the namespace, along."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def enter_namespace():
    """Moves this process into a network namespace that has only a loopback interface."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")
    must("ip", "link", "set", "lo", "up")


def wait_for(condition, what, deadline_s=120):
    """Polls until condition() is true. The deadline only bounds a failure; it is no statement about speed."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"still waiting after {deadline_s} s for {what}"
        time.sleep(0.02)


def ipv6_possible():
    return os.path.exists("/proc/sys/net/ipv6")


class Target:
    """What listens on WIRE4 and WIRE6, as a client sees it."""
    port = PORT
    process = None

    def connect(self, host=WIRE4, timeout_s=30):
        stream = socket.create_connection((host, self.port), timeout=timeout_s)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    def answers(self):
        try:
            with self.connect(timeout_s=1) as stream:
                stream.sendall(b"version\r\n")
                return stream.recv(100).startswith(b"VERSION")
        except OSError:
            return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log_tail(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-4000:].decode("utf-8", "replace")

    def wait_ready(self):
        wait_for(lambda: not self.alive() or self.answers(), "the first answer", START_DEADLINE_S)
        assert self.alive(), f"ended with {self.process.returncode} at start:\n{self.log_tail()}"

    def stats(self, *group):
        """The counters that `stats` answers on the data port."""
        with self.connect() as stream:
            stream.sendall(" ".join(["stats", *group]).encode() + b"\r\n")
            text = read_until(stream, b"END\r\n").decode()
        return dict(line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("STAT "))


class Appliance(Target):
    """build/wirecached on a TAP interface whose host end has HOST4 and HOST6."""

    def __init__(self, options=None):
        self.options = options or {}
        self.directory = tempfile.mkdtemp(prefix="wirecache-smoke-")
        self.socket_path = os.path.join(self.directory, "control.sock")
        self.config_path = os.path.join(self.directory, "wirecache.conf")
        self.log_path = os.path.join(self.directory, "log")
        self.file_prefix = f"wcsmoke{os.getpid()}-{next(COUNTER)}"

    def config_text(self):
        """The configuration as INI; self.options overrides {section: {key: value}}."""
        sections = {
            "wirecache": {"instance": self.file_prefix},
            "control": {"socket": self.socket_path},
            "memory": {"limit": "128m", "hugepages": "off"},  # programs run side by side: none takes another's pages
            "udp": {"port": PORT},
            f"port {INTERFACE}": {"device": f"net_tap0,iface={INTERFACE}", "ipv4": f"{WIRE4}/24", "ipv6": f"{WIRE6}/64"},
        }
        for name, keys in self.options.items():
            sections.setdefault(name, {}).update(keys)
        return "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v is not None) + "\n"
                       for name, keys in sections.items())

    def launch(self):
        """Starts the daemon without waiting for it."""
        with open(self.config_path, "w", encoding="ascii") as config:
            config.write(self.config_text())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([f"{BUILD}/wirecached", "-c", self.config_path], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    def bring_up(self, interface, host4):
        """Waits until the daemon has made the interface, and gives it our address."""
        wait_for(lambda: not self.alive() or has_interface(interface), f"interface {interface}", START_DEADLINE_S)
        assert self.alive(), f"ended with {self.process.returncode} at start:\n{self.log_tail()}"
        must("ip", "address", "add", f"{host4}/24", "dev", interface)
        must("ip", "link", "set", interface, "up")

    def start(self):
        self.launch()
        self.bring_up(INTERFACE, HOST4)
        if ipv6_possible():
            must("ip", "address", "add", f"{HOST6}/64", "dev", INTERFACE, "nodad")
        self.wait_ready()

    def stop(self, by=signal.SIGTERM):
        """Ends the daemon and returns its exit status (negative: died by that signal)."""
        if self.alive():
            self.process.send_signal(by)
        try:
            return self.process.wait(timeout=END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {END_DEADLINE_S} s of the signal:\n" + self.log_tail()) from None

    def leftovers(self):
        """Everything of a stopped daemon that is still there."""
        found = [INTERFACE] if has_interface(INTERFACE) else []
        found += [self.socket_path] if os.path.exists(self.socket_path) else []
        runtime = f"/var/run/dpdk/{self.file_prefix}"
        found += [runtime] if os.path.exists(runtime) else []
        for mount in hugetlbfs_mounts():
            found += [os.path.join(mount, name) for name in os.listdir(mount) if self.file_prefix in name]
        return found

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def wirectl(self, *arguments):
        return run(f"{BUILD}/wirectl", "-s", self.socket_path, *arguments)

    def json(self, *arguments):
        done = self.wirectl("--json", *arguments)
        assert done.returncode == 0, f"wirectl --json {' '.join(arguments)}: {done.returncode} {done.stdout.decode()}"
        return json.loads(done.stdout)


@contextlib.contextmanager
def started(options=None, start=Appliance.start):
    """An appliance that answers; killed and tidied up if the test does not end it."""
    target = Appliance(options)
    try:
        start(target)
        yield target
    finally:
        if target.alive():
            target.stop()
        target.remove()


class Memcached(Target):
    """Debian's memcached on the appliance's addresses, to check the tests with."""

    def __init__(self, options=None):
        del options
        self.directory = tempfile.mkdtemp(prefix="wirecache-smoke-")
        self.log_path = os.path.join(self.directory, "log")

    def start(self):
        must("ip", "address", "add", f"{WIRE4}/24", "dev", "lo")
        listen = ["-l", WIRE4]
        if ipv6_possible():
            must("ip", "address", "add", f"{WIRE6}/64", "dev", "lo", "nodad")
            listen += ["-l", f"[{WIRE6}]"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["memcached", "-u", "root", *listen, "-p", str(PORT), "-U", str(PORT), "-m",
                                             "128", "-c", "4096"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)
        self.wait_ready()

    def stop(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        self.process.wait(timeout=30)
        return 0

    def leftovers(self):
        return []

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def has_interface(name):
    return name in (entry[1] for entry in socket.if_nameindex())


def hugetlbfs_mounts():
    with open("/proc/mounts", encoding="utf-8") as mounts:
        return [line.split()[1] for line in mounts if line.split()[2] == "hugetlbfs"]


def read_exactly(stream, length):
    data = bytearray()
    while len(data) < length:
        piece = stream.recv(min(length - len(data), 1 << 20))
        assert piece, f"closed after {len(data)} of {length} bytes; the last: {bytes(data[-80:])!r}"
        data += piece
    return bytes(data)


def read_until(stream, end):
    data = bytearray()
    while not data.endswith(end):
        piece = stream.recv(1 << 16)
        assert piece, f"closed before {end!r}: {bytes(data[-200:])!r}"
        data += piece
    return bytes(data)


def read_to_eof(stream):
    data = bytearray()
    while piece := stream.recv(1 << 16):
        data += piece
    return bytes(data)


def exchange(stream, request, expected):
    """Sends a request and compares the whole answer."""
    stream.sendall(request)
    got = read_exactly(stream, len(expected))
    assert got == expected, f"{request[:80]!r} answered {got[:200]!r}, not {expected[:200]!r}"


def store(stream, key, value):
    exchange(stream, b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED\r\n")


class Unread:
    """Within it a client does not read what it asked for: as long as it is there, no drain ends for want of connections."""

    def __init__(self, target):
        self.target, self.stream = target, socket.socket()

    def __enter__(self):
        with self.target.connect() as stream:
            store(stream, b"unread", bytes(500_000))
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.stream.settimeout(30)
        self.stream.connect((WIRE4, self.target.port))
        self.stream.sendall(b"get unread\r\n")
        assert self.stream.recv(1, socket.MSG_PEEK)
        return self

    def __exit__(self, *_):
        self.stream.close()


def fetched(key, value, flags=0):
    """What `get` of that key answers."""
    return b"VALUE %s %d %d\r\n%s\r\nEND\r\n" % (key, flags, len(value), value)


def note(text):
    """A line for the reader; TAP ignores it."""
    print("# " + text.replace("\n", "\n# "), flush=True)


def trace_start():
    directory = os.environ.get("SMOKE_TRACE")
    if not directory:
        return None
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, os.path.basename(sys.argv[0]) + ".pcap")
    return subprocess.Popen(["tcpdump", "-q", "-U", "-Z", "root", "-i", INTERFACE, "-w", path],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            preexec_fn=die_with_parent)


def run_one(number, case, target):
    """Runs one test and prints its line; false when it failed."""
    name = case.function.__name__
    if case.appliance_only and TARGET != "wirecached":
        print(f"ok {number} - {name} # SKIP only an appliance can do this", flush=True)
        return True
    try:
        case.function(target)
        print(f"ok {number} - {name}", flush=True)
        return True
    except Skip as reason:
        print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        return True
    except Exception:  # pylint: disable=broad-except
        print(f"not ok {number} - {name}", flush=True)
        note(traceback.format_exc().rstrip())
        return False


def prepare():
    """What has to hold before any test; ends the program with one clear line otherwise."""
    if os.geteuid() != 0:
        sys.exit("Bail out! smoke tests make network namespaces and TAP interfaces: run them as root")
    if TARGET == "wirecached" and not os.path.exists("/dev/net/tun"):
        sys.exit("Bail out! there is no /dev/net/tun here: modprobe tun")
    if TARGET == "wirecached" and not os.access(f"{BUILD}/wirecached", os.X_OK):
        sys.exit(f"Bail out! {BUILD}/wirecached is not built yet: make")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    enter_namespace()


def terminate(*_):
    sys.exit(1)


def main(options=None, kinds=(Appliance, Memcached)):
    """Runs the program's tests against one target; options configure an appliance. kinds: what each target is."""
    prepare()
    signal.signal(signal.SIGTERM, terminate)
    print(f"1..{len(TESTS)}", flush=True)
    target = kinds[TARGET != "wirecached"](options)
    trace, failed = None, 0
    try:
        target.start()
        trace = trace_start()
        for number, case in enumerate(TESTS, 1):
            good = run_one(number, case, target)
            failed += not good
            if not target.alive():
                note(f"the server ended with {target.process.returncode}:\n{target.log_tail()}")
                failed += good
                target.start()
            elif not good:
                note("the server's log ends:\n" + target.log_tail()[-1500:])
    finally:
        for process in (trace, target.process):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(timeout=30)
        target.remove()
    sys.exit(1 if failed else 0)


def main_standalone():
    """Like main() for tests that start what they need themselves: they get no target."""
    prepare()
    signal.signal(signal.SIGTERM, terminate)
    print(f"1..{len(TESTS)}", flush=True)
    failed = [case for number, case in enumerate(TESTS, 1) if not run_one(number, case, None)]
    sys.exit(1 if failed else 0)
