#!/usr/bin/python3
"""Every client library of the matrix against the data port, text and binary: a test a library and protocol.

usage: test_matrix.py [--small]

--small: only libraries whose packages `make test` installs. What is not installed is skipped with its package's name;
binary is skipped as long as the server does not answer it. Each test's checks are shown as a TAP subtest.
"""
import re

import matrix
from appliance import PORT, WIRE4, Skip, exchange, main, test


def through_proxy(client, target):
    matrix.library_version(client)
    proxy, address = matrix.start_proxy(target.directory, (WIRE4, str(PORT)))
    try:
        matrix.examine(client, "text", address)
    finally:
        proxy.terminate()
        proxy.wait(timeout=30)


def examination(client, protocol):
    """The test of one library over one protocol."""
    def examine(target):
        with target.connect() as stream:
            exchange(stream, b"flush_all\r\n", b"OK\r\n")
        try:
            if protocol == "binary":
                matrix.library_version(client)
                if not matrix.binary_answered(target):
                    raise Skip("binary protocol not answered")
            if client.library.startswith("twemproxy"):
                through_proxy(client, target)
            else:
                matrix.examine(client, protocol, (WIRE4, str(PORT)))
        except Skip as reason:
            matrix.record(client, protocol, skipped=str(reason))
            raise
    name = re.sub(r"[^a-z0-9]+", "_", client.library.lower().replace("++", "pp")).strip("_")
    examine.__name__ = f"{name}_{protocol}_all_checks_hold"
    return examine


for each in matrix.chosen():
    for spoken in each.protocols:
        if spoken != "SASL":
            test(examination(each, spoken))

if __name__ == "__main__":
    main()
