#!/usr/bin/python3
"""Python's client libraries, each behind the adapter that scenario.py describes.

usage: driver.py LIBRARY PROTOCOL HOST PORT PREFIX [USER PASSWORD]
"""
import sys

from scenario import Scenario

# pylint: disable=import-outside-toplevel,missing-function-docstring


class Pymemcache:
    """Text only; says apart what is absent (None) and what is refused (False)."""

    def __init__(self, _protocol, host, port, _login):
        from pymemcache.client.base import Client
        self.client = Client((host, port), connect_timeout=30, timeout=30, default_noreply=False)
        for name in ("get", "add", "replace", "append", "prepend", "incr", "decr", "touch", "delete", "gets"):
            setattr(self, name, getattr(self.client, name))

    def set(self, key, value, expire=0):
        return self.client.set(key, value, expire)

    def cas(self, key, value, token):
        return bool(self.client.cas(key, value, token))

    def get_many(self, keys):
        return self.client.get_many(keys)

    def stats(self):
        return {name.decode(): value for name, value in self.client.stats().items()}

    def flush(self):
        return self.client.flush_all()


class ThroughProxy(Pymemcache):
    """pymemcache behind twemproxy, which spreads keys and so refuses what concerns a whole server."""
    LACKS = {"stats": "twemproxy closes on it", "flush": "twemproxy closes on it"}


class Pylibmc:
    """libmemcached's Python face: text, binary, SASL."""

    def __init__(self, protocol, host, port, login):
        import pylibmc
        self.missing = pylibmc.NotFound
        self.client = pylibmc.Client([f"{host}:{port}"], binary=protocol != "text", username=login[0],
                                     password=login[1], behaviors={"cas": True, "tcp_nodelay": True})
        for name in ("get", "add", "append", "prepend", "touch", "delete", "gets"):
            setattr(self, name, getattr(self.client, name))

    def set(self, key, value, expire=0):
        return self.client.set(key, value, expire)

    def replace(self, key, value):
        try:
            return self.client.replace(key, value)
        except self.missing:
            return False  # only its binary protocol tells so

    def cas(self, key, value, token):
        return self.client.cas(key, value, token)

    def incr(self, key, delta):
        try:
            return self.client.incr(key, delta)
        except self.missing:
            return None

    def decr(self, key, delta):
        return self.client.decr(key, delta)

    def get_many(self, keys):
        return self.client.get_multi(keys)

    def stats(self):
        return {as_text(name): value for name, value in self.client.get_stats()[0][1].items()}

    def flush(self):
        return self.client.flush_all()


class PythonMemcached:
    """Answers 0 and 1 where others say false and true, and keeps its CAS values to itself."""
    LACKS = {"delete_absent": "cannot tell an absent key from a deleted one"}

    def __init__(self, _protocol, host, port, _login):
        import memcache
        self.client = memcache.Client([f"{host}:{port}"], cache_cas=True, socket_timeout=30)
        self.get, self.incr, self.decr = self.client.get, self.client.incr, self.client.decr

    def set(self, key, value, expire=0):
        return bool(self.client.set(key, value, expire))

    def add(self, key, value):
        return bool(self.client.add(key, value))

    def replace(self, key, value):
        return bool(self.client.replace(key, value))

    def append(self, key, value):
        return bool(self.client.append(key, value))

    def prepend(self, key, value):
        return bool(self.client.prepend(key, value))

    def touch(self, key, expire):
        return bool(self.client.touch(key, expire))

    def delete(self, key):
        return bool(self.client.delete(key))

    def gets(self, key):
        return self.client.gets(key), None

    def cas(self, key, value, _token):
        return bool(self.client.cas(key, value))

    def get_many(self, keys):
        return self.client.get_multi(keys)

    def stats(self):
        return {as_text(name): value for name, value in self.client.get_stats()[0][1].items()}

    def flush(self):
        self.client.flush_all()
        return True


class PythonBinaryMemcached:
    """Binary only, with or without SASL."""
    LACKS = {"incr_absent": "always creates an absent counter", "delete_absent": "answers true"}

    def __init__(self, _protocol, host, port, login):
        import bmemcached
        self.client = bmemcached.Client((f"{host}:{port}",), *login, socket_timeout=30)
        for name in ("get", "gets", "incr", "decr", "delete"):
            setattr(self, name, getattr(self.client, name))

    def set(self, key, value, expire=0):
        return self.client.set(key, value, expire)

    def add(self, key, value):
        return self.client.add(key, value)

    def replace(self, key, value):
        return self.client.replace(key, value)

    def cas(self, key, value, token):
        return self.client.cas(key, value, token)

    def get_many(self, keys):
        return self.client.get_multi(keys)

    def stats(self):
        (figures,) = self.client.stats().values()
        return {as_text(name): value for name, value in figures.items()}

    def flush(self):
        return self.client.flush_all()


LIBRARIES = {
    "pymemcache": Pymemcache,
    "twemproxy": ThroughProxy,
    "pylibmc": Pylibmc,
    "python-memcached": PythonMemcached,
    "python-binary-memcached": PythonBinaryMemcached,
}


def as_text(name):
    return name.decode() if isinstance(name, bytes) else name


def main():
    library, protocol, host, port, prefix, *login = sys.argv[1:]
    clients = [LIBRARIES[library](protocol, host, int(port), login or [None, None]) for _ in range(2)]
    Scenario(*clients, prefix).play()


if __name__ == "__main__":
    main()
