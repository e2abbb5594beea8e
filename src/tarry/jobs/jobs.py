"""`Jobs`: the jobs of an application, registered, ordered and run."""

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar, Unpack

from tarry.app.errors import HttpError
from tarry.app.uploads import Upload
from tarry.exchange import Exchange
from tarry.jobs.attempts import Ended
from tarry.jobs.callables import job_function
from tarry.jobs.engine import Engine
from tarry.jobs.entering import Ordered, Submitted
from tarry.jobs.folders import Folders
from tarry.jobs.job_waits import AnswerWait, JobWait, KnownWait, job_wait, plain_value
from tarry.jobs.ledger import JobLedger
from tarry.jobs.options import JobKeywords, job_options
from tarry.jobs.orders import Argument, FilesArgument, Order, argument, kept_upload
from tarry.jobs.queues import Queue, Queued
from tarry.jobs.results import KeptResults
from tarry.jobs.runners.standard import standard_runners
from tarry.jobs.specs import DEFAULT_MAX_QUEUED, Groups, JobSpec
from tarry.state.cache import Cache
from tarry.state.store import StoreError
from tarry.waiting.answers import restored
from tarry.waiting.errors import StoreUnavailable
from tarry.waiting.nodes import this_process
from tarry.waiting.records import DamagedRecord, KeptAnswer, KeptFile, Record
from tarry.waiting.repeats import joined, may_repeat
from tarry.waiting.tokens import new_id, new_secret
from tarry.waiting.values import value_type
from tarry.waiting.waiting import Waiting

logger: Final = logging.getLogger("tarry")


CLEARING_S: Final = 600.0
"""How often the folders of forgotten jobs are removed."""


Kind = TypeVar("Kind", bound=JobWait[Any])


class TooManyJobs(HttpError):
    """503: as many jobs wait for their turn as may."""

    def __init__(self, queue: Queue) -> None:
        pace_s = max(queue.paces_s.values(), default=5.0)
        retry_s = min(max(round(pace_s), 1), 600)
        detail = f"{len(queue.waiting)} jobs wait for their turn, and no more may"
        super().__init__(503, detail, headers=[(b"retry-after", str(retry_s).encode())])


class Jobs:
    """The jobs of one application."""

    def __init__(
        self,
        waiting: Waiting,
        cache: Cache,
        max_queued: int = DEFAULT_MAX_QUEUED,
    ) -> None:
        self._waiting = waiting
        self._parking = waiting.parking
        self._groups = Groups(max_queued)
        self._results = KeptResults(cache)
        self._folders = Folders(waiting.folder("jobs"))
        self.engine = Engine(
            self._parking,
            JobLedger(waiting.ledger),
            self._groups,
            standard_runners(self._groups),
            self._folders.of,
            self._keep,
        )
        self._parking.place_of = self.engine.place_of
        self._parking.watching.on_job_settled = self.engine.settled
        self._parking.on_tick = self._tick
        self._next_clearing_s = 0.0
        self._parking.lanes.on_drain(self.engine.drain)

    @property
    def folder(self) -> Path:
        """The folder with those of the jobs, which may not be there yet."""
        return self._folders.base

    # ---- registering ---------------------------------------------------------------------

    def register(self, function: Callable[..., Any], **options: Unpack[JobKeywords]) -> JobSpec:
        """Have a function be a job.

        Raises:
            RegistrationError: it cannot be one, or an option cannot be.
        """
        chosen = job_options(**options)
        return self._groups.add(job_function(function, is_found=chosen.cpu), chosen)

    def spec_of(self, function: Callable[..., Any]) -> JobSpec:
        """The job of a function; raises `LookupError` if it is none."""
        return self._groups.of_function(function)

    def endpoint(
        self, function: Callable[..., Any], **options: Unpack[JobKeywords]
    ) -> Callable[..., Any]:
        """The handler of a route that begins a job; raises what `register` does."""
        spec = self.register(function, **options)

        @functools.wraps(function)
        async def begin(**arguments: Any) -> Any:
            return await self._begin(
                spec, {name: arguments[name] for name in spec.called.annotations}
            )

        return begin

    def check(self) -> None:
        """Look whether all is there that jobs need; raises what `Groups.check` does."""
        self._groups.check()

    # ---- ordering ------------------------------------------------------------------------

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> JobWait[Any]:
        """Have a job done, of a function that was registered; from any thread.

        Returns its wait: await it, return it from a handler, or hand on its ticket.

        Raises:
            LookupError: the function is no job.
            TypeError: arguments that it does not take.
            BadValue: an argument that does not fit, or has no form in JSON.
        """
        spec = self._groups.of_function(function)
        bound = spec.bind(args, kwargs)
        kept = {name: spec.kept(name, value) for name, value in bound.items()}
        asked_s = self._parking.clock.wall_s()
        key = None if spec.options.key is None else self._results.key_of(spec, bound)
        known = None if key is None else self._results.find(spec, key)
        if known is not None:
            return KnownWait(self._parking, spec.options.wait, known, plain_value(known))
        order = Order(spec.name, kept, key)
        wait = job_wait(self._parking, spec.returns, spec.options.wait)
        return self._order(wait, self._ordered(spec, new_id(), order, bound, None, asked_s))

    async def _begin(self, spec: JobSpec, arguments: dict[str, Any]) -> Any:
        id, exchange = new_id(), self._parking.exchange_here()
        asked_s = self._parking.clock.wall_s()
        options = spec.options.wait
        key, known = await self._known(spec, arguments)
        if known is not None:
            return KnownWait(self._parking, options, known, restored(known))
        order = Order(spec.name, await self._kept(spec, id, arguments), key)

        def make() -> AnswerWait:
            ordered = self._ordered(spec, id, order, arguments, exchange, asked_s)
            return self._order(AnswerWait(self._parking, value_type(Any), options), ordered)

        def join(record: Record) -> AnswerWait:
            wait = AnswerWait(self._parking, value_type(Any), options)
            joined(wait, record, self._parking.clock.wall_s())
            return wait

        if exchange is None or not may_repeat(exchange):
            return make()
        once = functools.partial(self._waiting.repeats.once, exchange, make, join)
        return await self._parking.lanes.in_thread(once)

    async def _known(
        self, spec: JobSpec, arguments: Mapping[str, Any]
    ) -> tuple[str | None, KeptAnswer | KeptFile | None]:
        """The key of a job that has one, and the result of one that was done before."""
        if spec.options.key is None:
            return None, None
        results, in_thread = self._results, self._parking.lanes.in_thread
        if results.may_block(spec, arguments):
            key = await in_thread(results.key_of, spec, arguments)
        else:
            key = results.key_of(spec, arguments)
        return key, results.at_once(spec, key) or await in_thread(results.find, spec, key)

    async def _kept(
        self, spec: JobSpec, id: str, arguments: Mapping[str, Any]
    ) -> dict[str, Argument]:
        """The arguments of a request as they are kept; uploads are moved to the job's folder."""
        kept: dict[str, Argument] = {}
        for name, value in arguments.items():
            if isinstance(value, Upload):
                kept[name] = await self._parking.lanes.in_thread(self._save, id, name, value)
            elif isinstance(value, list) and any(isinstance(each, Upload) for each in value):
                files = [
                    await self._parking.lanes.in_thread(self._save, id, f"{name}-{place}", each)
                    for place, each in enumerate(value)
                ]
                kept[name] = FilesArgument(tuple(files))
            else:
                kept[name] = argument(spec.called.annotations[name], value)
        return kept

    def _save(self, id: str, name: str, upload: Upload) -> Any:
        folder = self._folders.of(id)
        folder.mkdir(parents=True, exist_ok=True)
        return kept_upload(upload, folder, name)

    def _ordered(
        self,
        spec: JobSpec,
        id: str,
        order: Order,
        arguments: Mapping[str, Any],
        exchange: Exchange | None,
        asked_s: float,
    ) -> Ordered:
        options, now_s = spec.options.wait, self._parking.clock.wall_s()
        record = Record(
            id=id,
            secret=new_secret(),
            created_s=now_s,
            deadline_s=now_s + options.timeout_s,
            keep_s=options.keep_s,
            durable=True,
            node=this_process(),
            request=None if exchange is None else self._parking.addresses.info(exchange),
            job=spec.name,
            key=None if order.cache_key is None else f"job:{spec.name}:{order.cache_key}",
        )
        entry = Queued(id, spec.name, spec.slot_of(arguments), retries=spec.options.retries)
        return Ordered(record, order, entry, spec.options.replace, spec.group.max_queued, asked_s)

    def _order(self, wait: Kind, ordered: Ordered) -> Kind:
        """Have it done, and the wait wait for it."""
        stored: Future[Record] = Future()
        stored.set_running_or_notify_cancel()
        wait.stored = stored
        spec = self._groups.spec(ordered.order.job)
        if spec is None:
            raise LookupError(f"there is no job {ordered.order.job}")
        submitted = self.engine.submit(spec, ordered)
        submitted.add_done_callback(functools.partial(self._submitted, wait, stored, ordered))
        return wait

    def _submitted(
        self,
        wait: JobWait[Any],
        stored: "Future[Record]",
        ordered: Ordered,
        submitted: "Future[Submitted]",
    ) -> None:
        error = submitted.exception()
        record = None if error is not None else submitted.result().record
        if record is None or record.id != ordered.record.id:
            self._parking.on_loop(self._clear, [ordered.record.id])  # it is not needed
        if record is not None:
            wait.record = record
            stored.set_result(record)
            return
        if isinstance(error, StoreError):
            logger.error("a job cannot be stored: %s", error)
            error = StoreUnavailable()
        stored.set_exception(error or TooManyJobs(submitted.result().queue))

    # ---- results -------------------------------------------------------------------------

    def _keep(self, spec: JobSpec, order: Order, ended: Ended) -> "Future[None]":
        kept: Future[None] = Future()
        if order.cache_key is None:
            kept.set_result(None)
        else:
            keep = functools.partial(self._results.keep, spec, order, ended)
            keeping = asyncio.get_running_loop().run_in_executor(None, keep)
            keeping.add_done_callback(lambda _: kept.set_result(None))
        return kept

    # ---- folders -------------------------------------------------------------------------

    def _tick(self) -> None:
        self.engine.tick()
        now_s = self._parking.clock.monotonic_s()
        if now_s >= self._next_clearing_s:
            self._next_clearing_s = now_s + CLEARING_S
            self._parking.lanes.start(self._clear_old())

    async def _clear_old(self) -> None:
        """Remove the folders of jobs that the store has forgotten."""
        ids = await self._parking.lanes.in_thread(self._folders.old)
        if not ids:
            return
        try:
            found = await asyncio.wrap_future(self._waiting.ledger.read(*ids))
        except (StoreError, DamagedRecord) as error:
            logger.warning("the folders of forgotten jobs cannot be removed now: %s", error)
            return
        self._clear([id for id, record in zip(ids, found, strict=True) if record is None])

    def _clear(self, ids: list[str]) -> None:
        for id in ids:
            self._parking.lanes.start(self._parking.lanes.in_thread(self._folders.remove, id))

    # ---- the application starts and stops -------------------------------------------------

    def open(self) -> None:
        """Begin to run jobs."""
        self.engine.open()

    async def close(self) -> None:
        """Run no more jobs; what runs may end first."""
        await self.engine.close()
        await asyncio.to_thread(self._folders.close)
