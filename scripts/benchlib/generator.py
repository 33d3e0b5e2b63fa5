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
    valid = property(lambda self: self.result["valid"])

    def latency_us(self, percentile):
        return self.result["latency_us"][percentile]


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
