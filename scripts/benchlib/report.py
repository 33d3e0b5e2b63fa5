"""What came of it: results.json, the table, and its place in docs/PERFORMANCE.md."""
import json
import statistics

from benchlib import machine

MARKERS = "<!-- measured: begin -->", "<!-- measured: end -->"
SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "K"))


def figure(figures, side):
    run, name = side
    return getattr(figures[run], name)


def spread(name, values):
    return {name: statistics.median(values), f"{name}_min": min(values), f"{name}_max": max(values)}


def windows(case, rounds):
    """Of both sides and all rounds; those off schedule are left out of the figures."""
    each = [figures[side[0]].windows for figures in rounds for side in (case.ours, case.peer)]
    return {"windows": sum(one["len"] for one in each), "windows_left_out": sum(one["len"] - one["kept"] for one in each)}


def result(case, rounds):
    """One case over all rounds: medians, with minimum and maximum beside them."""
    ours = [figure(figures, case.ours) for figures in rounds]
    peer = [figure(figures, case.peer) for figures in rounds]
    differs = case.unit == "us"
    ratio = [a - b if differs else a / b for a, b in zip(ours, peer)]
    sound = all(figures[side[0]].valid for figures in rounds for side in (case.ours, case.peer))
    return {"id": case.id, "what": case.what, "unit": case.unit, **spread("ours", ours), **spread("peer", peer),
            **spread("ratio", ratio), "must": case.must, "aim": case.aim, "on_schedule": sound, **windows(case, rounds)}


def amount(value, unit):
    if unit == "us":
        return f"{value:.1f} us"
    for scale, letter in SCALES:
        if value >= scale:
            return f"{value / scale:.2f} {letter} {unit}"
    return f"{value:.0f} {unit}"


def reached(row):
    if row["must"] is None:
        return ""
    less = row["unit"] == "us"
    if row["ratio"] <= row["aim"] if less else row["ratio"] >= row["aim"]:
        return "aim"
    return "yes" if (row["ratio"] <= row["must"] if less else row["ratio"] >= row["must"]) else "no"


def table(rows):
    lines = ["| case | ours | peer | ratio (min to max) | must | aim | reached |", "|---|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        digits = 1 if abs(row["ratio"]) >= 10 else 2
        ratio = f"{row['ratio']:.{digits}f} ({row['ratio_min']:.{digits}f} to {row['ratio_max']:.{digits}f})"
        wanted = ["" if row[name] is None else f"{row[name]:g}" for name in ("must", "aim")]
        late = "" if row["on_schedule"] else ", schedule missed"
        if row["windows"]:
            late += f" ({row['windows_left_out']} of {row['windows']} windows left out)"
        lines.append(f"| `{row['id']}` {row['what']} | {amount(row['ours'], row['unit'])} | "
                     f"{amount(row['peer'], row['unit'])} | {ratio} | {wanted[0]} | {wanted[1]} | {reached(row)}{late} |")
    return "\n".join(lines)


def write_json(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cases": rows}, indent=1) + "\n", encoding="utf-8")


def write_docs(path, text):
    page = path.read_text(encoding="utf-8")
    begin, end = (page.find(marker) for marker in MARKERS)
    if begin < 0 or end < begin:
        machine.fail(f"{path} lacks the lines {MARKERS[0]} and {MARKERS[1]}")
    path.write_text(page[:begin] + MARKERS[0] + "\n" + text + "\n" + page[end:], encoding="utf-8")
