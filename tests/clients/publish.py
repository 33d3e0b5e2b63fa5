#!/usr/bin/python3
"""Writes what the client tests recorded into a page, between its lines clients: begin and clients: end.

usage: publish.py RESULTS PAGE
"""
import json
import sys

BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"


def remarks(result):
    """What the library lacks, each reason once, or what went wrong."""
    if "skipped" in result:
        return "skipped: " + result["skipped"]
    if "died" in result:
        return "driver " + result["died"]
    texts = [f"{name}: {text}" for name, text in result["fail"].items()]
    for name, text in result["lack"].items():
        what = text if text.startswith("has no") else f"{name}: {text}"
        if what not in texts:
            texts.append(what)
    return "; ".join(texts).replace("|", "\\|")


def row(result):
    ran = "pass" in result
    return "| {} | {} | {} | {} | {} | {} |".format(
        result["library"], result.get("version", ""), result["protocol"], len(result["pass"]) if ran else "",
        len(result["fail"]) if ran else "", remarks(result))


def main():
    results_path, page_path = sys.argv[1:]
    with open(results_path, encoding="utf-8") as lines:
        results = [json.loads(line) for line in lines]
    order = list(dict.fromkeys(result["library"] for result in results))
    results.sort(key=lambda result: order.index(result["library"]))
    table = ["| library | version | protocol | passed | failed | what the library lacks |", "|---|---|---|---|---|---|",
             *map(row, results)]
    with open(page_path, encoding="utf-8") as page:
        before, rest = page.read().split(BEGIN)
    after = rest.split(END)[1]
    with open(page_path, "w", encoding="utf-8") as page:
        page.write(before + BEGIN + "\n" + "\n".join(table) + "\n" + END + after)


if __name__ == "__main__":
    main()
