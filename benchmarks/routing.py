"""What it costs to find a route, by the number of routes: no server, only the router."""

import time
from dataclasses import dataclass

from tarry.app.patterns import parse_pattern
from tarry.app.router import NotFound, Router

NAME = "routes"
TITLE = "finding a route among others, ns per look-up"
SIZES = (10, 1_000, 10_000)
LOOK_UPS = 20_000
ROUNDS = 7


@dataclass(frozen=True)
class RoutingCost:
    """Nanoseconds of one look-up among `routes` routes; the best of some rounds."""

    routes: int
    static_ns: float
    parameter_ns: float
    miss_ns: float


def measure_routing() -> list[RoutingCost]:
    """The cost for each size; half of the routes are static, half have a parameter."""
    return [measure_size(size) for size in SIZES]


def measure_size(size: int) -> RoutingCost:
    """The cost for one number of routes; the last ones registered are looked up."""
    router: Router[str] = Router()
    for number in range(size // 2):
        router.add(parse_pattern(f"/static/{number}/page"), ["GET"], f"static {number}")
        router.add(parse_pattern(f"/items{number}/{{id}}/parts"), ["GET"], f"item {number}")
    last = size // 2 - 1
    return RoutingCost(
        size,
        look_up_ns(router, f"/static/{last}/page"),
        look_up_ns(router, f"/items{last}/42/parts"),
        look_up_ns(router, "/nowhere/at/all"),
    )


def look_up_ns(router: Router[str], path: str) -> float:
    """Nanoseconds of one look-up of a path, found or not."""
    raw = path.encode()
    return min(timed(router, raw) for _ in range(ROUNDS)) / LOOK_UPS * 1e9


def timed(router: Router[str], raw: bytes) -> float:
    """Seconds for all look-ups of one round."""
    find = router.find
    started = time.perf_counter()
    for _ in range(LOOK_UPS):
        try:
            find(b"GET", raw)
        except NotFound:
            pass
    return time.perf_counter() - started


def routing_text(costs: list[RoutingCost]) -> str:
    """The table of the costs."""
    lines = [f"{NAME}: {TITLE}", "  routes  static  with a parameter  not found"]
    lines += [
        f"  {cost.routes:6}  {cost.static_ns:6.0f}  {cost.parameter_ns:16.0f}  {cost.miss_ns:9.0f}"
        for cost in costs
    ]
    return "\n".join(lines)
