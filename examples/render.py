"""Pictures of the Mandelbrot set, computed in a process of their own.

python examples/render.py      # then open http://127.0.0.1:8000
curl -X POST 'http://127.0.0.1:8000/picture?width=320' -o mandelbrot.png
"""

import struct
import zlib
from math import log, log2
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from tarry import App, Job

PALETTES = {
    "sea": [(4, 22, 40), (11, 110, 117), (226, 240, 217), (232, 163, 61)],
    "fire": [(24, 8, 12), (150, 24, 16), (246, 150, 34), (255, 244, 204)],
    "ink": [(18, 20, 24), (250, 250, 248)],
}
app = App()
app.add_route("/", lambda: Path(__file__).with_suffix(".html"))


@app.job("/picture", cpu=True, keep="1d")
def picture(
    job: Job,
    width: Annotated[int, Meta(ge=16, le=2400)] = 640,
    iterations: Annotated[int, Meta(ge=1, le=10_000)] = 200,
    x: float = -0.65,
    y: float = 0.0,
    zoom: Annotated[float, Meta(ge=0.1, le=1e12)] = 0.85,
    colours: Literal["sea", "fire", "ink"] = "sea",
) -> Path:
    height, step, lines = width * 2 // 3, 3 / zoom / width, []
    for row in range(height):
        job.progress(row, height, f"row {row} of {height}")
        up = y + (height / 2 - row) * step
        points = (complex(x + (column - width / 2) * step, up) for column in range(width))
        lines.append(bytes(colour(point, iterations) for point in points))
    file = job.folder / "mandelbrot.png"
    file.write_bytes(png(width, palette(PALETTES[colours]), lines))
    return file


def colour(point: complex, iterations: int) -> int:
    """0 for a point of the set, else how soon it leaves, in turns of 255 colours."""
    if abs(point + 1) < 0.25 or point.real < (near := abs(point - 0.25)) * (1 - 2 * near) + 0.25:
        return 0  # in one of the two large discs, where nothing leaves
    z = 0j
    for number in range(iterations):
        z = z * z + point
        if abs(z) > 8:
            return int(60 * log2(number + 3 - log2(log(abs(z))))) % 255 + 1
    return 0


def palette(stops: list[tuple[int, int, int]]) -> bytes:
    """Black, and 255 colours that lead from each stop to the next, and back to the first."""
    colours, turn = bytes(3), [*stops, stops[0]]
    for number in range(255):
        place, part = divmod(number * len(stops) / 255, 1)
        ends = zip(turn[int(place)], turn[int(place) + 1], strict=True)
        colours += bytes(round(a + (b - a) * part) for a, b in ends)
    return colours


def png(width: int, colours: bytes, lines: list[bytes]) -> bytes:
    """A picture with one byte for each pixel (PNG, sections 5.3 and 11.2)."""
    head = struct.pack(">2I5B", width, len(lines), 8, 3, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines))
    file = b"\x89PNG\r\n\x1a\n"
    for kind, data in (b"IHDR", head), (b"PLTE", colours), (b"IDAT", pixels), (b"IEND", b""):
        file += struct.pack(f">I4s{len(data)}sI", len(data), kind, data, zlib.crc32(kind + data))
    return file


if __name__ == "__main__":
    app.run()
