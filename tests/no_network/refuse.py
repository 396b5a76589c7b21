"""An audit hook that refuses every connection but those within this machine (faults X9).

An audit hook cannot be taken off again, sees what C code does through Python's socket module,
and needs no package. What libraries in C++ do by themselves (gloo, Ray's own processes) it does
not see; they are given 127.0.0.1 by our code, and tests say so.
"""

import ipaddress
import os
import socket
import sys

# Who asks for these asks nobody but this machine.
_OWN_NAMES = {"", "localhost", "ip6-localhost", "0.0.0.0", "::"}
# Of Python's sockets; their second argument is the address.
_WITH_ADDRESS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_WITH_NAME = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}

asked = []  # what was refused, so that who swallows the refusal is found out too
_is_installed = False


class NetworkRefusedError(OSError):
    """A test, or what it tests, wanted to reach another machine."""


def refuse_network():
    """Refuse all connections and look-ups that leave this machine, until the process ends."""
    global _is_installed
    if not _is_installed:
        _is_installed = True
        sys.addaudithook(_hook)
        # Where they are given a name they look it up before the hook is told.
        for method in ("connect", "connect_ex", "sendto"):
            setattr(socket.socket, method, _looking_first(method))


def _looking_first(method):
    real = getattr(socket.socket, method)

    def look(self, *arguments):
        address = arguments[-1]
        if isinstance(address, tuple) and address and not _is_own(address[0]):
            _refuse(f"socket.{method}", address[0])
        return real(self, *arguments)

    return look


def _hook(event, arguments):
    if not event.startswith("socket."):
        return
    if event in _WITH_ADDRESS:
        address = arguments[1]
        if isinstance(address, tuple) and address and not _is_own(address[0]):
            _refuse(event, address[0])
    elif event in _WITH_NAME and not _is_own(arguments[0]):
        _refuse(event, arguments[0])


def _is_own(name):
    if name is None:
        return True
    if isinstance(name, bytes):
        name = name.decode("ascii", "replace")
    name = name.lower().rstrip(".")
    if name in _OWN_NAMES or name == _own_name():
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or _is_of_this_machine(address)


def _is_of_this_machine(address):
    """Tell whether an address is one of this machine's own: only such a one can be bound.

    A process of Ray listens at it.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as tried:
            tried.bind((str(address), 0))
    except OSError:
        return False
    return not address.is_multicast


def _own_name():
    return os.uname().nodename.lower() if hasattr(os, "uname") else ""


def _refuse(event, name):
    asked.append(f"{event} {name!r}")
    raise NetworkRefusedError(101, f"The tests have no network: {event} to {name!r} was refused")
