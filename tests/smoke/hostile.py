"""What tests of hostile clients share: what the appliance holds, that it serves on, and frames made by hand."""
import os
import socket
import struct
import threading
import time

from appliance import HOST4, INTERFACE, PORT, WIRE4, exchange, fetched, must, store, test, wait_for

ENTRY_BYTES = 64  # a connection before its handshake ends, or in TIME-WAIT
ETHER_IP4, ETHER_IP6, ETHER_ARP, ETHER_VLAN = 0x0800, 0x86DD, 0x0806, 0x8100


def worker_sum(target, name):
    return sum(worker[name] for worker in target.json("worker", "show"))


def counter(target, group, name):
    row = next(row for row in target.json("stats", group) if row["counter"] == name)
    return row.get("total", row.get("value"))


def serves(target):
    """A fresh client gets right answers."""
    value = os.urandom(5000)
    with target.connect() as stream:
        store(stream, b"fresh", value)
        exchange(stream, b"get fresh\r\n", fetched(b"fresh", value))


def settles(target, mbufs_free):
    """Connections, their memory and packet buffers are given back, and a fresh client is served."""
    serves(target)
    wait_for(lambda: worker_sum(target, "connections") == 0, "connections to end")
    entries = worker_sum(target, "half_open") + worker_sum(target, "time_wait")
    assert worker_sum(target, "connection_memory_bytes") <= ENTRY_BYTES * entries, target.json("worker", "show")
    wait_for(lambda: worker_sum(target, "mbufs_free") >= mbufs_free, "packet buffers to come back")
    assert "Sanitizer" not in target.log_tail() and "runtime error" not in target.log_tail(), target.log_tail()


def harmless(function):
    """A test after which everything must be as it was before."""
    def run(target):
        mbufs_free = worker_sum(target, "mbufs_free")
        function(target)
        settles(target, mbufs_free)
    run.__name__ = function.__name__
    return test(run, appliance_only=True)


def reset(stream):
    """Closes with RST instead of FIN."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def slow_reader():
    """A connection with room for a few packets only, so that answers wait on the other side."""
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.settimeout(30)
    stream.connect((WIRE4, PORT))
    return stream


def send_some(stream, data):
    """Sends to a peer that may close meanwhile."""
    try:
        stream.sendall(data)
    except OSError:
        pass


# ---- frames ----------------------------------------------------------------------------------------------------------


def checksum(data):
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(protocol, payload, ident=0, fragment=0, total=None, head=0x45, source=HOST4):
    header = struct.pack("!BBHHHBBH4s4s", head, 0, 20 + len(payload) if total is None else total, ident, fragment, 64,
                         protocol, 0, socket.inet_aton(source), socket.inet_aton(WIRE4))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def icmp4(kind, code, rest, quoted):
    message = struct.pack("!BBHI", kind, code, 0, rest) + quoted
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


class Wire:
    """Sends frames as they are from the host's end of the link."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind((INTERFACE, 0))
        must("ping", "-c", "1", "-w", "60", WIRE4)
        self.own = self.mac_after("link/ether", must("ip", "link", "show", INTERFACE))
        self.peer = self.mac_after("lladdr", must("ip", "neigh", "show", WIRE4, "dev", INTERFACE))

    @staticmethod
    def mac_after(word, text):
        words = text.decode().split()
        return bytes.fromhex(words[words.index(word) + 1].replace(":", ""))

    def send(self, ether_type, payload, to=None):
        try:
            self.socket.send((to or self.peer) + self.own + struct.pack("!H", ether_type) + payload)
        except OSError:
            pass  # the queue is full: as good as lost on its way


class Announced:
    """An address that the appliance knows by ARP and that answers nothing: frames for it are for nobody here."""

    MAC = b"\x02\x77\0\0\0\1"

    def __init__(self, address):
        self.address, self.wire = address, Wire()
        self.announce()

    def announce(self):
        request = struct.pack("!HHBBH6s4s6s4s", 1, ETHER_IP4, 6, 4, 1, self.MAC, socket.inet_aton(self.address), bytes(6),
                              socket.inet_aton(WIRE4))
        self.wire.send(ETHER_ARP, request)


class Sitters:
    """TCP clients by hand at one announced address: each sends a request with its handshake's last ACK, offers a window of
    nothing, and says so again whenever it is asked. Nothing but the next sequence number is kept of each."""

    SYN, RST, ACK, PSH = 2, 4, 16, 8
    ISS = 1000
    SYN_OPTIONS = struct.pack("!BBHBBBB", 2, 4, 1460, 1, 3, 3, 7)  # MSS, window scale
    FIRST_PORT = 20000

    def __init__(self, address, number, request):
        self.announced, self.request, self.number = Announced(address), request, number
        self.next_wanted = {}  # by port, of those that are open: what the appliance sends next
        self.asked_again = 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.settimeout(0.1)
        self.socket.bind((INTERFACE, ETHER_IP4))
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.answer, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.socket.close()

    def ports(self):
        return range(self.FIRST_PORT, self.FIRST_PORT + self.number)

    def open(self, ports):
        """A SYN from each, until all are answered. Those that got lost are sent again after a second: sooner, they would
        drive out others where the appliance has no core. Then it may have forgotten the address, which answers no ARP."""
        due_s = 0

        def all_answered():
            nonlocal due_s
            missing = [port for port in ports if port not in self.next_wanted]
            if missing and time.monotonic() >= due_s:
                self.knock(missing)
                due_s = time.monotonic() + 1
            return not missing
        wait_for(all_answered, f"{len(ports)} sitters to be answered")

    def knock(self, ports):
        self.announced.announce()
        for port in ports:
            self.send(port, self.SYN, self.ISS, 0, 1, options=self.SYN_OPTIONS)

    def reset(self):
        """All of them; the same about those that get lost."""
        for port, wanted in list(self.next_wanted.items()):
            self.send(port, self.RST | self.ACK, self.ISS + 1 + len(self.request), wanted, 0)

    def send(self, port, flags, seq, ack, window, payload=b"", options=b""):
        source, target = socket.inet_aton(self.announced.address), socket.inet_aton(WIRE4)
        head = struct.pack("!HHIIBBHHH", port, PORT, seq, ack, (20 + len(options)) // 4 << 4, flags, window, 0, 0) + options
        pseudo = source + target + struct.pack("!HH", 6, len(head) + len(payload))
        head = head[:16] + struct.pack("!H", checksum(pseudo + head + payload)) + head[18:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(head) + len(payload), 0, 0, 64, 6, 0, source, target)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        self.announced.wire.send(ETHER_IP4, header + head + payload)

    def answer(self):
        while not self.ended.is_set():
            try:
                frame = self.socket.recv(2048)
            except TimeoutError:
                continue
            if frame[:6] == self.announced.MAC and frame[23] == 6:
                self.answer_one(frame[14 + (frame[14] & 15) * 4:])

    def answer_one(self, segment):
        _, port, seq, _, _, flags = struct.unpack("!HHIIBB", segment[:14])
        if flags & self.RST:
            self.next_wanted.pop(port, None)
        elif flags & self.SYN:
            self.next_wanted[port] = seq + 1
            self.send(port, self.ACK | self.PSH, self.ISS + 1, seq + 1, 0, self.request)
        elif port in self.next_wanted:
            self.asked_again += 1
            self.send(port, self.ACK, self.ISS + 1 + len(self.request), self.next_wanted[port], 0)
