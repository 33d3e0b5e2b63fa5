"""The machine that is measured on: two cores, hugepages for as long as the run takes, programs that end with it."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

FAR_CPU, OUR_CPU = 1, 0  # the server's core, and the generator's
HUGEPAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
HUGETLBFS = pathlib.Path("/dev/hugepages")
HUGEPAGE_MIB = 2
PR_SET_PDEATHSIG = 1
REALTIME_US = pathlib.Path("/proc/sys/kernel/sched_rt_runtime_us")
L3 = pathlib.Path("/sys/devices/system/cpu/cpu0/cache/index3/size")


def fail(text):
    sys.exit(f"bench: {text}")


def say(text):
    print(text, flush=True)


def check():
    if os.geteuid() != 0:
        fail("run it as root: it reserves hugepages and takes two cores for itself")
    if not {FAR_CPU, OUR_CPU} <= os.sched_getaffinity(0):
        fail(f"cores {OUR_CPU} and {FAR_CPU} are needed, one for the generator and one for the server")


def l3_bytes():
    """What the kernel says; 32 MiB where it says nothing."""
    try:
        return int(L3.read_text().strip().rstrip("K")) << 10
    except (OSError, ValueError):
        return 32 << 20


def memory_free_bytes():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def name(what):
    """A name for DPDK's files of one program of this run."""
    return f"wc-{what}-{os.getpid()}"


@contextlib.contextmanager
def hugepages(mib):
    """At least so much free in hugepages, and a mount of them; gives back what it took."""
    total, free = HUGEPAGES / "nr_hugepages", HUGEPAGES / "free_hugepages"
    before, wanted = int(total.read_text()), mib // HUGEPAGE_MIB
    mounted = " hugetlbfs " in pathlib.Path("/proc/mounts").read_text()
    try:
        if int(free.read_text()) < wanted:
            total.write_text(str(before + wanted - int(free.read_text())))
        if int(free.read_text()) < wanted:
            fail(f"{mib} MiB of hugepages are needed; the kernel has {int(free.read_text()) * HUGEPAGE_MIB} MiB in one piece")
        if not mounted:
            HUGETLBFS.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "hugetlbfs", "nodev", HUGETLBFS], check=True)
        yield
    finally:
        clear()
        if not mounted:
            subprocess.run(["umount", HUGETLBFS], check=False)
        total.write_text(str(before))


@contextlib.contextmanager
def whole_cores():
    """Kernels before 6.12 stop real-time threads for 50 ms of every second unless they are told not to."""
    before = REALTIME_US.read_text() if REALTIME_US.exists() else None
    try:
        if before:
            REALTIME_US.write_text("-1")
        yield
    finally:
        if before:
            REALTIME_US.write_text(before)


def clear():
    """What DPDK leaves of programs that have ended: peers do not tidy up as ours do."""
    for path in pathlib.Path("/var/run/dpdk").glob(f"wc-*-{os.getpid()}"):
        shutil.rmtree(path, ignore_errors=True)
    for path in HUGETLBFS.glob(f"wc-*-{os.getpid()}map_*"):
        path.unlink(missing_ok=True)


def child():
    """In a child: before others of its core, for ours and the peers alike, and gone when this program goes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpriority(os.PRIO_PROCESS, 0, -20)


class Program:
    """A program that serves until it is told to end."""

    def __init__(self, command, log, environment=None):
        self.command, self.log = [str(word) for word in command], log
        with open(log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, preexec_fn=child,
                                            stderr=subprocess.STDOUT, env=environment)

    def wait_until(self, ready, what):
        for _ in range(600):
            if ready():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        fail(f"{self.command[0]}: no {what}:\n{pathlib.Path(self.log).read_text(encoding='utf-8')}")

    def keep_core(self, cpu):
        """Its threads that live on this core alone run before all other programs there, as wireload's do with `realtime`."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if os.sched_getaffinity(int(task.name)) == {cpu}:
                os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(1))

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def alive(self):
        return self.process.poll() is None

    def end(self):
        if self.alive():
            self.go_on()
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run(command, seconds):
    """A program that ends by itself: its exit status, output and errors."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=seconds, preexec_fn=child, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()
