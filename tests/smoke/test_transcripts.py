#!/usr/bin/python3
"""The transcripts in docs/CONTROL.md are what wirectl says: each console block is played again and compared.

usage: tests/smoke/test_transcripts.py [--write]      --write puts what was said now into the document

Figures differ from run to run, so numbers, the versions and the test's own paths are left out of the comparison; words,
their order and the exit codes are not.
"""
import os
import re
import shlex
import shutil
import sys

import appliance
from appliance import BUILD, Appliance, ROOT, run, store, test

DOCUMENT = os.path.join(ROOT, "docs", "CONTROL.md")
BLOCK = re.compile(r"(```console\n)(.*?)(```\n)", re.S)
PROMPT = "$ wirectl "
FILES = {"new.conf": {"tcp": {"connections_max": "1000", "rto_min": "50ms"}, "acl": {"allow": "10.77.0.0/24"}},
         "bad.conf": {"memory": {"limt": "1g"}}}


def play(target, command):
    """What a wirectl command line says, with its exit code if it is not 0; without what is only this machine's."""
    done = run(f"{BUILD}/wirectl", "-s", target.socket_path, *shlex.split(command), cwd=target.directory)
    said = done.stdout.decode().replace(target.directory + "/", "").replace(target.file_prefix, "wirecache")
    return said + (f"[exit {done.returncode}]\n" if done.returncode != 0 else "")


def replayed(target, block):
    commands = [line[len(PROMPT):] for line in block.splitlines() if line.startswith(PROMPT)]
    return "".join(f"{PROMPT}{command}\n{play(target, command)}" for command in commands)


def shape(text):
    """The text with its figures left out."""
    text = re.sub(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", "MAC", text)
    text = re.sub(r"\d+\.\d+\.\d+(-g[0-9a-f]+)?(-dirty)?", "VERSION", text)
    text = re.sub(r"-?\d+(\.\d+)?( ?(B|KiB|MiB|GiB|k|M|us|ms|ns|s|min|h|min \d+ s|h \d+ min)\b)?", "N", text)
    return re.sub(r"\bN( N)+\b", "N", re.sub(r"\s+", " ", text))


def document():
    with open(DOCUMENT, encoding="utf-8") as text:
        return text.read()


def prepared(target):
    for name, sections in FILES.items():
        other = Appliance({**target.options})
        other.directory, other.socket_path, other.file_prefix = target.directory, target.socket_path, target.file_prefix
        other.options = {**target.options, **sections}
        with open(os.path.join(target.directory, name), "w", encoding="ascii") as config:
            config.write(other.config_text())
    with target.connect() as stream:
        for number in range(10):
            store(stream, b"key-%d" % number, b"x" * 100)
    return target


@test(appliance_only=True)
def transcripts_are_what_wirectl_says(target):
    prepared(target)
    blocks = BLOCK.findall(document())
    assert len(blocks) >= 5, f"only {len(blocks)} transcripts"
    with appliance.Unread(target):  # a drain is among them
        for _, block, _ in blocks:
            now = replayed(target, block)
            assert shape(now) == shape(block), f"the document says\n{block}\nand wirectl\n{now}"


@test(appliance_only=True)
def manual_pages_have_no_mistakes(_target):
    if shutil.which("groff") is None:
        raise appliance.Skip("groff is not installed")
    for page in ("wirecached.8", "wirectl.8", "wirecache.conf.5"):
        done = run("groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(ROOT, "docs", "man", page))
        assert done.returncode == 0 and not done.stdout.strip(), done.stdout.decode()


def write(target):
    prepared(target)
    with appliance.Unread(target):
        text = BLOCK.sub(lambda found: found.group(1) + replayed(target, found.group(2)) + found.group(3), document())
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)


@test(appliance_only=True)
def unit_for_systemd_has_no_mistakes(target):
    if not shutil.which("systemd-analyze"):
        raise appliance.Skip("no systemd-analyze")
    with open(os.path.join(ROOT, "docs", "systemd", "wirecached.service"), encoding="utf-8") as source:
        unit = source.read()
    path = os.path.join(target.directory, "wirecached.service")
    with open(path, "w", encoding="utf-8") as out:  # with programs that there are
        out.write(unit.replace("/usr/bin/wirectl", "/bin/true").replace("/usr/sbin/wirecached", "/bin/true"))
    text = run("systemd-analyze", "verify", "--man=no", path).stdout.decode()
    assert "wirecached" not in text, text


if __name__ == "__main__":
    if "--write" in sys.argv:
        appliance.TESTS[:] = [appliance.Test(write, True)]
    appliance.main()
