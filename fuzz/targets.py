"""All targets by name; a new one is added in the module that it belongs to."""

from __future__ import annotations

from fuzz import bodies, engines, fields, routing, whole
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (fields, bodies, routing, engines, whole)
    for target in module.TARGETS
}
