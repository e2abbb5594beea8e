"""Jobs as they are ordered, without an application."""

from __future__ import annotations

from tarry.jobs.entering import Ordered
from tarry.jobs.orders import JsonArgument, Order
from tarry.jobs.queues import Queued
from tarry.waiting.records import Record
from tarry.waiting.tokens import new_id, new_secret

LIFETIME_S = 1000.0
KEEP_S = 5.0
GROUP = "group"
JOB = "module:work"


def ordered(
    now_s,
    *,
    key=None,
    slot=None,
    replace="cancel-old",
    room=1000,
    retries=0,
    job=JOB,
    number=0,
    lifetime_s=LIFETIME_S,
):
    """An order of a job of its own."""
    record = Record(
        id=new_id(),
        secret=new_secret(),
        created_s=now_s,
        deadline_s=now_s + lifetime_s,
        keep_s=KEEP_S,
        durable=True,
        key=key,
        job=job,
    )
    order = Order(job, {"number": JsonArgument(b"%d" % number)})
    entry = Queued(record.id, job, slot, retries=retries)
    return Ordered(record, order, entry, replace, room)
