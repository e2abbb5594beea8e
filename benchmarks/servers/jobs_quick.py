"""quick_server with a small job, which its clients begin by POST."""

from typing import Any

from quick_server import create_server

from benchmarks.servers import port_argument

if __name__ == "__main__":
    server = create_server(("127.0.0.1", port_argument()))

    @server.json_worker("/add")
    def add(args: dict[str, Any]) -> int:
        return args["a"] + args["b"]

    server.suppress_noise = True
    server.serve_forever()
