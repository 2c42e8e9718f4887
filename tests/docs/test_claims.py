"""What docs/security.md says is left, is so: a limit that is told is a promise too."""

from __future__ import annotations

import ssl
import threading
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from handclasp.app.state import BUNDLE, CHAIN, KEY
from handclasp.testing.site import RunningSite, free_port


@pytest.mark.e2e
def test_an_open_websocket_outlives_a_revocation_and_ends_with_its_listener(tmp_path: Path) -> None:
    """After the revocation messages still pass; after a change of `listen` they do not, in 10 s and a little."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0) as api:
        thread = threading.Thread(target=api.serve_forever)
        thread.start()
        upstream, port, other = f"http://127.0.0.1:{api.socket.getsockname()[1]}", free_port(), free_port()
        with RunningSite(tmp_path, "--upstream", upstream, "--listen", f"127.0.0.1:{port}") as site:
            files = site.client("first")
            context = ssl.create_default_context(cafile=files / BUNDLE)
            context.load_cert_chain(files / CHAIN, files / KEY)
            with connect(f"wss://localhost:{port}/", ssl=context) as connection:
                site.run("client", "revoke", "first")
                connection.send("still here")
                assert connection.recv(5) == "still here"
                site.change((tmp_path / "handclasp.yaml").read_text().replace(str(port), str(other)))
                began = time.monotonic()
                with pytest.raises(ConnectionClosed):
                    while time.monotonic() - began < 20:
                        connection.send("and now")
                        connection.recv(5)
                        time.sleep(0.2)
        api.shutdown()
        thread.join()
