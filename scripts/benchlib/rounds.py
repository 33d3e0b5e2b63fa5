"""Rounds: in each, every far end that is needed comes up once, and its runs follow each other. So ours and the peers take
turns, and a noisy machine hits both."""
import contextlib
import json

from benchlib import cases, farends, generator, machine, store

UNTIL_ENDED_S = 60
OFFERED_LEAST = 0.95


class Ceiling:
    """What link_ceiling found; the same figures as a run of wireload. Valid: it offered the rate that it was asked to."""

    def __init__(self, report, asked):
        self.rate, self.bytes_in, self.lost = report["rate"], report["bytes_per_second"], report["lost"]
        self.offered, self.windows = report["offered"], {"len": 0, "kept": 0}
        self.valid = self.offered >= OFFERED_LEAST * asked
        self.about = "" if self.valid else f"  only {self.offered:,.0f} offered"


def ceiling(build, far, what, seconds):
    role, *more = what.split()
    status, out, errors = machine.run(
        [f"{build}/bench/link_ceiling", "-l", machine.OUR_CPU, "--file-prefix", machine.name("ceiling"), "--no-pci",
         "--single-file-segments", "--vdev", far.memif("client", ",zero-copy=yes"), "--log-level", "*:warning", "-m", 256,
         "--", role, seconds, *more], seconds + UNTIL_ENDED_S)
    if status != 0:
        machine.fail(f"link_ceiling {what}: {out}{errors}")
    return Ceiling(json.loads(out.splitlines()[-1]), int(more[2]) if len(more) > 2 else 0)


class Bench:
    """The far ends and runs of one benchmark."""

    def __init__(self, build, chosen, plots):
        self.build, self.chosen, self.plots = build, chosen, plots
        self.dram_keys = farends.dram_keys(cases.ITEM_BYTES)
        self.table = cases.runs(self.dram_keys)
        self.names = cases.needed(chosen, self.table)
        dram_mib = self.dram_keys * cases.ITEM_BYTES >> 20
        self.fars = {
            "full": farends.FullAppliance(build, dram_mib), "appliance": farends.Appliance(build),
            "reflect": farends.Testpmd(build), "source": farends.TestpmdSource(build),
            "memcached": farends.Memcached(build),
        }
        self.rounds = []
        self.stored = {}  # by items: figures by batch, of each round

    def used(self):
        names = {self.table[name].far for name in self.names}  # the store alone is no far end
        return [far for far in self.fars if far in names]

    def hugepages_mib(self):
        """Of what is up at the same time: one far end and the generator, and the full appliance through all of it."""
        used = [self.fars[name] for name in self.used()]
        kept = sum(far.hugepages_mib for far in used if far.keeps)
        linked = kept + max((far.hugepages_mib for far in used if not far.keeps), default=0) + 2 * farends.PACKET_MIB
        return max([linked, *(store.memory_mib(items) for items in self.stores())])

    def stores(self):
        """Items of each store that is measured without packets."""
        return sorted({self.table[name].options[0] for name in self.names if self.table[name].far == "store"})

    def fill(self):
        """Once: what is kept through the rounds."""
        if "full" not in self.used():
            return
        machine.say(f"filling {self.dram_keys} items, {self.dram_keys * cases.ITEM_BYTES >> 20} MiB")
        far = self.fars["full"]
        far.up()
        generator.run(self.build, far.target(), {"keys": self.dram_keys, "connections": 16, "pipeline": 32,
                                                 "preload": "only"}, 1)
        far.down(last=False)

    def run_one(self, name, figures):
        run = self.table[name]
        far = self.fars[run.far]
        options = run.options(figures) if callable(run.options) else run.options
        if isinstance(options, str):
            return ceiling(self.build, far, options, run.seconds)
        hgrm = self.plots / f"{name.replace('/', '-')}.hgrm"
        return generator.run(self.build, far.target(), options, run.seconds, hgrm)

    def measure_stores(self, rounds):
        """Before anything else holds its memory; a process has all its rounds in a row."""
        for items in self.stores():
            machine.say(f"the store alone, {items} items, {items * store.ITEM_BYTES >> 20} MiB")
            self.stored[items] = store.gets(self.build, items, rounds)

    def round(self, number):
        figures = {}
        for far_name in ["appliance", "reflect", "source", "memcached", "full"]:
            names = [name for name in self.names if self.table[name].far == far_name]
            if not names:
                continue
            for name in names:
                self.fars[far_name].up()
                figures[name] = self.run_one(name, figures)
                machine.say(f"  {name:28} {figures[name].rate:14,.0f} /s{figures[name].about}")
                if self.fars[far_name].fragile:
                    self.fars[far_name].down()
            self.fars[far_name].down(last=False)
        for name in self.names:
            if self.table[name].far == "store":
                items, batch = self.table[name].options
                figures[name] = self.stored[items][number][batch]
                machine.say(f"  {name:28} {figures[name].rate:14,.0f} /s")
        self.rounds.append(figures)

    def measure(self, rounds):
        with machine.hugepages(self.hugepages_mib()), machine.whole_cores(), contextlib.ExitStack() as stack:
            for far in self.fars.values():
                stack.callback(far.down)
            self.measure_stores(rounds)
            self.fill()
            for number in range(rounds):
                machine.say(f"round {number + 1} of {rounds}")
                self.round(number)
