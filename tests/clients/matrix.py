"""The client libraries: what each is, what has to be installed, how its driver is run, and what became of it.

A driver (see scenario.py) is one program for the libraries of a language. Those of compiled languages are built below
build/clients when they are first wanted. CLIENTS_RESULTS=FILE appends a line of JSON for each library and protocol;
publish.py makes the table of docs/PROTOCOL.md from it.
"""
import collections
import glob
import json
import os
import re
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "smoke"))
import appliance  # noqa: E402  pylint: disable=wrong-import-position
from appliance import BUILD, Skip, must, run  # noqa: E402  pylint: disable=wrong-import-position

sys.path.insert(0, HERE)
from checks import CHECKS  # noqa: E402  pylint: disable=wrong-import-position

WORK = os.path.join(BUILD, "clients")
NODE_MODULES = os.path.join(WORK, "npm", "node_modules")
GO_PATH = "/usr/share/gocode"
SPYMEMCACHED = "/usr/share/java/spymemcached.jar"
DRIVER_DEADLINE_S = 120
LINE = re.compile(r"^(pass|fail|lack) (\w+) ?(.*)$")

# packages: Debian's, the first is the library whose version is told; npm: of the npm registry instead.
# small: its packages belong to the group "test", so `make test` runs it.
Client = collections.namedtuple("Client", "library protocols packages command small npm", defaults=(False, None))


def script(interpreter, name, library):
    return lambda: [*interpreter, os.path.join(HERE, name), library]


def python(library):
    return script(["/usr/bin/python3"], "driver.py", library)


def built(name, sources, *compiler):
    """The command of a driver that the compiler makes from the sources; nothing is done if it is newer than they."""
    def command():
        program = os.path.join(WORK, name)
        paths = [os.path.join(HERE, source) for source in (*sources, "checks.h")]
        os.makedirs(WORK, exist_ok=True)
        if not os.path.exists(program) or any(os.path.getmtime(p) > os.path.getmtime(program) for p in paths):
            must("sh", "-c", " ".join(compiler).format(here=HERE, out=program), timeout_s=600,
                 env={**os.environ, "GO111MODULE": "off", "GOPATH": GO_PATH, "GOCACHE": os.path.join(WORK, "go"),
                      "GOFLAGS": "-p=1"})
        return [program, name]
    return command


def java():
    driver = os.path.join(HERE, "Driver.java")
    made = os.path.join(WORK, "Driver.class")
    os.makedirs(WORK, exist_ok=True)
    if not os.path.exists(made) or os.path.getmtime(driver) > os.path.getmtime(made):
        must("javac", "-cp", SPYMEMCACHED, "-d", WORK, driver, timeout_s=300)
    return ["java", "-cp", f"{SPYMEMCACHED}:{WORK}", "Driver", "spymemcached"]


APR_FLAGS = "$(apr-1-config --includes --cppflags) $(apu-1-config --includes)"
APR_LINK = "$(apu-1-config --link-ld) $(apr-1-config --link-ld)"
C_FLAGS = "-O1 -g -Wall -Wextra -Werror"
LIBMEMCACHED_C = built("libmemcached-c", ("driver_libmemcached.c", "checks.c"), "gcc -std=gnu11", C_FLAGS,
                       "-o {out} {here}/driver_libmemcached.c {here}/checks.c -lmemcached")
LIBMEMCACHED_CC = built("libmemcached-cc", ("driver_libmemcached.cc", "checks.c"), "gcc -std=gnu11", C_FLAGS,
                        "-c -o {out}.o {here}/checks.c && g++", C_FLAGS,
                        "-o {out} {here}/driver_libmemcached.cc {out}.o -lmemcached")
APR = built("apr-memcache", ("driver_apr.c", "checks.c"), "gcc -std=gnu11", C_FLAGS, APR_FLAGS,
            "-o {out} {here}/driver_apr.c {here}/checks.c", APR_LINK)
GO = built("gomemcache", ("driver.go",), "go build -o {out} {here}/driver.go")

CLIENTS = [
    Client("libmemcached, C", ["text", "binary"], ["libmemcached-dev", "gcc"], LIBMEMCACHED_C, True),
    Client("libmemcached, C++", ["text", "binary"], ["libmemcached-dev", "g++"], LIBMEMCACHED_CC),
    Client("apr_memcache", ["text"], ["libaprutil1-dev", "gcc"], APR),
    Client("pymemcache", ["text"], ["python3-pymemcache"], python("pymemcache"), True),
    Client("pylibmc", ["text", "binary", "SASL"], ["python3-pylibmc"], python("pylibmc"), True),
    Client("python-memcached", ["text"], ["python3-memcache"], python("python-memcached"), True),
    Client("python-binary-memcached", ["binary", "SASL"], ["python3-binary-memcached"],
           python("python-binary-memcached"), True),
    Client("dalli", ["binary", "SASL"], ["ruby-dalli", "ruby"], script(["ruby"], "driver.rb", "dalli")),
    *(Client(library, ["text"], [package, "perl"], script(["perl"], "driver.pl", library), True)
      for library, package in (("Cache::Memcached", "libcache-memcached-perl"),
                               ("Cache::Memcached::Fast", "libcache-memcached-fast-perl"),
                               ("Cache::Memcached::libmemcached", "libcache-memcached-libmemcached-perl"))),
    Client("php-memcached", ["text", "binary", "SASL"], ["php8.2-memcached", "php8.2-cli"],
           script(["php"], "driver.php", "php-memcached")),
    Client("php-memcache", ["text"], ["php8.2-memcache", "php8.2-cli"],
           script(["php"], "driver.php", "php-memcache")),
    Client("spymemcached", ["text", "binary"], ["libspymemcached-java", "openjdk-17-jdk-headless"], java),
    Client("gomemcache", ["text"], ["golang-github-bradfitz-gomemcache-dev", "golang-go"], GO),
    Client("memcached (npm)", ["text"], ["nodejs"], script(["node"], "driver.js", "memcached"), npm="memcached"),
    Client("memjs (npm)", ["binary", "SASL"], ["nodejs"], script(["node"], "driver.js", "memjs"), npm="memjs"),
    Client("memcache-client (npm)", ["text"], ["nodejs"], script(["node"], "driver.js", "memcache-client"),
           npm="memcache-client"),
    Client("twemproxy in front", ["text"], ["nutcracker", "python3-pymemcache"], python("twemproxy")),
]


def chosen():
    """The libraries that the command line asks for: --small leaves out those that `make test` does not install."""
    return [client for client in CLIENTS if client.small or "--small" not in sys.argv[1:]]


def package_version(package):
    """The installed version as upstream counts it, or None."""
    done = run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package)
    state, _, version = done.stdout.decode().partition(" ")
    if done.returncode != 0 or state != "installed":
        return None
    return re.sub(r"^\d+:", "", version).rsplit("-", 1)[0].split("+")[0]


def library_version(client):
    """The library's version; raises Skip for what is not installed."""
    for package in client.packages:
        if package_version(package) is None:
            raise Skip(f"{package} is not installed: make test-clients")
    if client.npm is None:
        return package_version(client.packages[0])
    manifest = os.path.join(NODE_MODULES, client.npm, "package.json")
    if not os.path.exists(manifest):
        raise Skip(f"npm's {client.npm} is not installed: make test-clients")
    with open(manifest, encoding="utf-8") as text:
        return json.load(text)["version"]


def binary_answered(target, opcode=0x0A):
    """Whether the server answers a binary noop."""
    try:
        with target.connect(timeout_s=5) as stream:
            stream.sendall(struct.pack(">BB22x", 0x80, opcode))
            return appliance.read_exactly(stream, 24)[:2] == bytes([0x81, opcode])
    except (AssertionError, OSError):
        return False


def binary_version_answered(target):
    """The same for version, which needs no login."""
    return binary_answered(target, 0x0B)


def record(client, protocol, **what):
    path = os.environ.get("CLIENTS_RESULTS")
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps({"library": client.library, "protocol": protocol, **what}) + "\n")


def environment():
    return {**os.environ, "NODE_PATH": NODE_MODULES, "PYTHONDONTWRITEBYTECODE": "1"}


def play(client, protocol, server, prefix, login):
    """Runs the driver; returns {check: (state, text)} and raises if it did not report each check once."""
    argv = [*client.command(), protocol, *server, prefix, *login]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=DRIVER_DEADLINE_S, check=False, env=environment())
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"ran over {DRIVER_DEADLINE_S} s after {(late.stdout or b'').decode()}") from None
    lines = [LINE.match(line) for line in done.stdout.decode("utf-8", "replace").splitlines()]
    reports = {line.group(2): (line.group(1), line.group(3)) for line in lines if line}
    assert done.returncode == 0 and set(reports) == set(CHECKS) and len(lines) == len(CHECKS), \
        f"ended with {done.returncode}, reported {len(lines)} checks:\n{done.stdout.decode('utf-8', 'replace')}" \
        f"\n{done.stderr.decode('utf-8', 'replace')[-2000:]}"
    return reports


def show(reports):
    """The checks as a TAP subtest."""
    for number, name in enumerate(CHECKS, 1):
        state, text = reports[name]
        print(f"    {'not ok' if state == 'fail' else 'ok'} {number} - {name}"
              f"{' # SKIP ' + text if state == 'lack' else ''}")
        if state == "fail":
            print(f"    # {text}")
    sys.stdout.flush()


def examine(client, protocol, server, prefix="wire-", login=()):
    """One library over one protocol: plays it, shows and records the outcome, raises when a check failed."""
    version = library_version(client)
    try:
        reports = play(client, protocol, server, prefix, login)
    except AssertionError as error:
        record(client, protocol, version=version, died=str(error).splitlines()[0])
        raise
    show(reports)
    by_state = {state: {name: text for name, (seen, text) in reports.items() if seen == state}
                for state in ("pass", "fail", "lack")}
    record(client, protocol, version=version, **by_state)
    assert not by_state["fail"], f"{len(by_state['fail'])} checks failed"


def start_proxy(directory, server):
    """twemproxy on loopback in front of the server; returns its process and address."""
    host, port = "127.0.0.1", 22121
    path = os.path.join(directory, "nutcracker.yml")
    with open(path, "w", encoding="ascii") as out:
        out.write(f"wire:\n  listen: {host}:{port}\n  hash: fnv1a_64\n  distribution: ketama\n"
                  f"  servers:\n   - {server[0]}:{server[1]}:1\n")
    process = subprocess.Popen(["/usr/sbin/nutcracker" if glob.glob("/usr/sbin/nutcracker") else "nutcracker", "-c",
                                path, "-o", os.path.join(directory, "nutcracker.log")], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=appliance.die_with_parent)

    def listens():
        try:
            with socket.create_connection((host, port), timeout=5):
                return True
        except OSError:
            return False
    appliance.wait_for(lambda: process.poll() is not None or listens(), "twemproxy")
    return process, (host, str(port))
