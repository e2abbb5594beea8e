"""uvicorn with the raw ASGI application: `PORT httptools` or `PORT zttp`."""

import sys

from benchmarks.servers.asgi_text import app
from benchmarks.servers.on_uvicorn import serve

if __name__ == "__main__":
    engine = sys.argv[2]
    if engine == "zttp":
        serve(app, engine, lifespan="off", http2=True)
    else:
        serve(app, engine, lifespan="off")
