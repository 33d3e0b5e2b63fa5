#!/usr/bin/python3
"""The status page in a real browser, and what promtool says of the files in docs/: for `make test-page`, since the browser
is large. With PAGE_PICTURES=DIR it leaves pictures of the page and of `wirectl top` there."""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "smoke"))
import appliance  # pylint: disable=wrong-import-position
from appliance import BUILD, ROOT, run, must, test  # pylint: disable=wrong-import-position
import test_statistics  # pylint: disable=wrong-import-position

appliance.TESTS.clear()  # those of the module are run by themselves
SECONDS_OF_LOAD = 45  # of which the picture shows the charts
PICTURES = os.environ.get("PAGE_PICTURES")
BROWSER = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
           "--no-first-run", "--window-size=1200,1000"]


def browse(target, *arguments):
    profile = os.path.join(target.directory, "browser")
    done = subprocess.run([*BROWSER, f"--user-data-dir={profile}", *arguments, f"http://{test_statistics.LISTEN}/"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.decode()


class Browser:
    """One that stays, driven over a pair of pipes: messages of its DevTools protocol, each with a zero behind it."""

    def __init__(self, target):
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        self.number, self.session, self.left = 0, None, b""

        def pipes():
            appliance.die_with_parent()
            os.dup2(requests, 13)  # above what the two may be
            os.dup2(answers, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)
        self.process = subprocess.Popen(
            [*BROWSER, "--remote-debugging-pipe", f"--user-data-dir={target.directory}/browser-kept"], preexec_fn=pipes,
            close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(requests)
        os.close(answers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        os.close(self.requests)
        os.close(self.answers)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.requests, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.left:
                piece = os.read(self.answers, 1 << 20)
                assert piece, "the browser ended"
                self.left += piece
            line, self.left = self.left.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") == self.number:
                return answer["result"]

    def open(self, address):
        tab = self.call("Target.createTarget", url=address)["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]

    def picture(self, path):
        self.call("Emulation.setDeviceMetricsOverride", width=1100, height=960, deviceScaleFactor=1, mobile=False)
        time.sleep(2)
        with open(path, "wb") as out:
            out.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


class Load:
    """One connection that reads and writes a few keys, some more than others, until it is told to stop."""

    def __init__(self, target):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.work, args=(target,))

    def work(self, target):
        with target.connect() as stream:
            for key in range(60):
                appliance.store(stream, b"user:%d" % key, b"v" * 100)
            number = 0
            while not self.stop.is_set():
                number += 1
                burst = [b"get user:%d\r\n" % (number * step % (7 * step)) for step in range(1, 17)]
                stream.sendall(b"".join(burst) + b"mn\r\n")
                appliance.read_until(stream, b"MN\r\n")
                if number // 20000 % 2:
                    time.sleep(0.0005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@test(appliance_only=True)
def page_in_a_browser_shows_live_figures(target):
    with test_statistics.Exporter(target), Load(target):
        time.sleep(3)
        dom = browse(target, "--dump-dom", "--virtual-time-budget=5000")
        if PICTURES:
            with Browser(target) as browser:
                browser.open(f"http://{test_statistics.LISTEN}/")
                time.sleep(SECONDS_OF_LOAD)
                browser.picture(f"{PICTURES}/status-page.png")
    assert re.search(r'id="health"[^>]*>healthy<', dom), dom[-3000:]
    assert re.search(r'id="rate">[\d.]+ [kM]?<small>', dom), "no request rate"
    assert re.search(r'id="hits">[\d.]+ %', dom), "no hit rate"
    assert "user:" in dom and dom.count("<polyline") >= 9, "no hot keys or charts"


@test(appliance_only=True)
def page_without_a_daemon_says_so(target):
    class Nobody:
        socket_path = os.path.join(target.directory, "nobody")
    with test_statistics.Exporter(Nobody):
        dom = browse(target, "--dump-dom", "--virtual-time-budget=3000")
    assert re.search(r'id="health"[^>]*>no answer<', dom), dom[-3000:]


@test(appliance_only=True)
def top_on_a_terminal_of_80x24_is_drawn_and_ends_with_q(target):
    server = f"-Lwirecache-{os.getpid()}"
    with Load(target):
        must("tmux", server, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24",
             f"{BUILD}/wirectl -s {target.socket_path} top; echo ended with $?; sleep 60")
        try:
            def screen():
                return must("tmux", server, "capture-pane", "-p").decode()
            appliance.wait_for(lambda: "user:" in screen(), "hot keys on the screen")
            time.sleep(3)  # for figures of a whole second of load
            text = screen()
            must("tmux", server, "send-keys", "q")
            appliance.wait_for(lambda: "ended with 0" in screen(), "the end of top")
        finally:
            run("tmux", server, "kill-server")
    lines = text.rstrip("\n").split("\n")
    assert len(lines) <= 24 and lines[0].startswith("wirecache ") and "BUSY" in text, text
    if PICTURES:
        with open(f"{PICTURES}/top.txt", "w", encoding="utf-8") as out:
            out.write(text.rstrip() + "\n")


@test(appliance_only=True)
def promtool_accepts_alert_rules_and_exposition(target):
    assert shutil.which("promtool"), "Debian's prometheus is not installed"
    must("promtool", "check", "rules", f"{ROOT}/docs/prometheus-alerts.yml")
    test_statistics.promtool_finds_little_to_complain_of(target)


@test(appliance_only=True)
def dashboard_and_alerts_name_only_metrics_that_there_are(target):
    test_statistics.some_load(target)
    with test_statistics.Exporter(target):
        names = {key.split("{")[0] for key in test_statistics.samples(test_statistics.fetch("/metrics")[2])}
    for path in ("docs/grafana-dashboard.json", "docs/prometheus-alerts.yml"):
        with open(f"{ROOT}/{path}", encoding="utf-8") as source:
            used = set(re.findall(r"\b(?:memcached|wirecache)_[a-z0-9_]+", source.read()))
        assert used, path
        assert used <= names, f"{path}: {used - names}"


if __name__ == "__main__":
    appliance.main({"statistics": {"sample": "8"}})
