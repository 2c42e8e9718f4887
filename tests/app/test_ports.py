"""Whether the gateway can listen, said before Envoy is asked."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from handclasp.app.ports import any_address, check_free
from handclasp.findings import Code, Refused

HERE = "handclasp.yaml:4"


@pytest.fixture(params=[False, True], ids=["plain", "SO_REUSEPORT"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        if request.param:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port(taken: int, address: str) -> None:
    """GATEWAY_PORT_TAKEN, with the port, and the line to change; also where the other would share it."""
    with pytest.raises(Refused) as caught:
        check_free(address, taken, HERE)
    refused = caught.value
    assert (refused.code, refused.what) == (Code.GATEWAY_PORT_TAKEN, f"The gateway cannot listen on port {taken}")
    assert HERE in refused.fix


@pytest.mark.skipif(any_address() != "::", reason="no IPv6 here")
def test_a_port_taken_on_ipv4_is_not_free_for_both_families(taken: int) -> None:
    """`listen: PORT` means both families: either one taken is taken."""
    with pytest.raises(Refused) as caught:
        check_free("::", taken, HERE, both_families=True)
    assert caught.value.code is Code.GATEWAY_PORT_TAKEN


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", any_address()], ids=["loopback", "ipv4", "any"])
def test_a_free_port(address: str) -> None:
    """Nothing is raised, and the port is free again afterwards."""
    port = free_port()
    check_free(address, port, HERE)
    check_free(address, port, HERE)


def test_a_port_in_time_wait_is_free() -> None:
    """Connections that are only just over do not stop a restart."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Envoy does
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            accepted, _ = listener.accept()
            accepted.close()
            caller.recv(1)
    check_free("127.0.0.1", port, HERE)


def test_an_address_of_another_machine() -> None:
    """GATEWAY_ADDRESS_UNAVAILABLE, naming the address."""
    with pytest.raises(Refused) as caught:
        check_free("203.0.113.1", free_port(), HERE)
    refused = caught.value
    assert refused.code is Code.GATEWAY_ADDRESS_UNAVAILABLE
    assert refused.why == "this machine does not have the address 203.0.113.1"


def _privileged_ports_are_open() -> bool:
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as setting:
        return int(setting.read()) <= 443


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.skipif(_privileged_ports_are_open(), reason="this system lets everybody listen below 1024")
def test_a_port_below_1024_without_the_right() -> None:
    """GATEWAY_PORT_PRIVILEGED."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setuid(65534)
            check_free("127.0.0.1", 443, HERE)
        except Refused as refused:
            status = 0 if refused.code is Code.GATEWAY_PORT_PRIVILEGED else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
