"""Plots by gnuplot, each as PNG and SVG: rates over the number of connections, and latency's distribution at half load."""
import shutil
import subprocess

TERMINALS = (("png", "pngcairo size 1000,600"), ("svg", "svg size 1000,600"))
CONNECTIONS = ((1, "tcp_get_1"), (64, "tcp_get_64"), (256, "tcp_get_256"), (1000, "tcp_get_1000"), (10000, "tcp_get_10k"))


def draw(path, script):
    for suffix, terminal in TERMINALS:
        subprocess.run(["gnuplot"], input=f"set terminal {terminal}\nset output '{path}.{suffix}'\nset grid\n{script}",
                       text=True, check=True)


def connections(directory, rows):
    points = [(number, row) for number, name in CONNECTIONS for row in rows if row["id"] == name]
    if len(points) < 2:
        return
    data = directory / "connections.dat"
    data.write_text("".join(f"{number} {row['ours']} {row['peer']}\n" for number, row in points))
    draw(directory / "connections", f"""set logscale xy
set xlabel 'connections'
set ylabel 'GET a second, one a segment'
set key left top
plot '{data}' using 1:2 with linespoints title 'wirecache, one worker', \\
     '{data}' using 1:3 with linespoints title 'memcached -t 1'
""")


def latency(directory):
    files = [(directory / f"{name}.hgrm", title) for name, title in (
        ("half_load", "wirecache, half load"), ("half_load-reflect", "reflected, the same rate"),
        ("most_load", "wirecache, 80 %"), ("most_load-reflect", "reflected, the same rate"))]
    curves = [f"'{path}' using 4:1 with lines title '{title}'" for path, title in files if path.exists()]
    if curves:
        draw(directory / "latency", f"""set logscale xy
set xlabel '1 / (1 - percentile)'
set ylabel 'us from when due, windows on schedule'
set key outside bottom center horizontal
plot {', '.join(curves)}
""")


def all_of(directory, rows):
    """False: there is no gnuplot."""
    if not shutil.which("gnuplot"):
        return False
    connections(directory, rows)
    latency(directory)
    return True
