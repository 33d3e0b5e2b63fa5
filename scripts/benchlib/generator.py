"""Runs wireload, and reads what it found."""
import json

from benchlib import machine

GRACE_S = 120  # for connecting, filling and ending
EXIT_MEASURED, EXIT_NOT_SOUND = 0, 3


class Figures:
    """One run's result."""

    def __init__(self, report):
        self.report, self.result = report, report["result"]
        self.counts = self.result["counts"]

    rate = property(lambda self: self.result["throughput"])
    keys = property(lambda self: self.result["keys_per_second"])
    bytes_in = property(lambda self: self.counts["rx_bytes"] / self.result["seconds"])
    connections = property(lambda self: self.counts["turned_over"] / self.result["seconds"])
    lost = property(lambda self: self.counts["lost"])
    windows = property(lambda self: self.result["windows"])
    p99 = property(lambda self: self.windows["p99"] if self.windows["len"] else self.result["latency_us"]["p99"])

    @property
    def valid(self):
        """On schedule; of a run in windows, those whose figures count: at least half of them."""
        return self.windows["kept"] * 2 >= self.windows["len"] if self.windows["len"] else self.result["valid"]

    @property
    def about(self):
        if not self.windows["len"]:
            return "" if self.valid else "  late"
        stalls = self.result["stalls"]
        return (f"  p99 {self.p99:.1f} us, {self.windows['kept']} of {self.windows['len']} windows on schedule; stood still for "
                f"{stalls['us']:,.0f} us, {stalls['other_programs_us']:,.0f} us of it for other programs")


def run(build, target, options, seconds, hgrm=None):
    """One run of wireload. What it calls unsound ends the benchmark if values were wrong, else it is left to the reader."""
    options = {"duration": f"{seconds}s", "warmup": "0.5s", "timeout": "100ms", "progress": "no", "json": "-", **target, **options}
    if hgrm:
        options["hgrm"] = hgrm
    command = [f"{build}/wireload", *(f"--{name}={value}" for name, value in options.items())]
    status, out, errors = machine.run(command, seconds + GRACE_S)
    if status not in (EXIT_MEASURED, EXIT_NOT_SOUND):
        machine.fail(f"wireload ended with {status}: {errors}\n{' '.join(command)}")
    report = json.loads(out)
    if "result" not in report:
        return None
    figures = Figures(report)
    if figures.counts["wrong"] or figures.counts["stale"] or figures.counts["broken"]:
        machine.fail(f"{figures.counts['wrong']} wrong, {figures.counts['stale']} stale, {figures.counts['broken']} broken "
                     f"replies\n{' '.join(command)}")
    return figures
