"""Results of jobs that are kept for those who ask for the same again."""

import functools
import logging
from collections.abc import Mapping
from typing import Any, Final

from tarry.app.results import JSON
from tarry.jobs.attempts import Ended
from tarry.jobs.orders import Order
from tarry.jobs.specs import JobSpec
from tarry.state.cache import Cache
from tarry.waiting.cache_keys import holds_path, key_digest
from tarry.waiting.cached import entry_of, identity_of
from tarry.waiting.cached_answers import packed, unpacked, unpacked_at_once
from tarry.waiting.records import ANSWER, DONE, KeptAnswer, KeptFile, decode_answer

logger: Final = logging.getLogger("tarry")


class KeptResults:
    """The results of jobs with a key, in the cache of the application; sections are their names."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def may_block(self, spec: JobSpec, arguments: Mapping[str, Any]) -> bool:
        """Whether to make the key reads files."""
        return holds_path(spec.key_of(arguments))

    def key_of(self, spec: JobSpec, arguments: Mapping[str, Any]) -> str:
        """The key of a job with these arguments; raises what `key_digest` does."""
        _, key = entry_of(spec.name, _identity(spec), spec.key_of(arguments))
        return key

    def at_once(self, spec: JobSpec, key: str) -> KeptAnswer | None:
        """The result, if it is in memory and no file."""
        return unpacked_at_once(self._cache.in_memory(spec.name, key))

    def find(self, spec: JobSpec, key: str) -> KeptAnswer | KeptFile | None:
        """The result, wherever it is.  Blocks."""
        return unpacked(self._cache.get(spec.name, key))

    def keep(self, spec: JobSpec, order: Order, ended: Ended) -> None:
        """Keep the result of a job that is done.  Blocks."""
        if order.cache_key is None or ended.state != DONE:
            return
        try:
            data = packed(_answer(ended))
            if data is not None:
                self._cache.put(spec.name, order.cache_key, data, spec.options.wait.keep_s)
        except Exception:  # the result itself is not lost by that
            logger.exception("the result of a job could not be kept for others")


def _answer(ended: Ended) -> KeptAnswer | KeptFile:
    if ended.kind == ANSWER:
        return decode_answer(ended.value or b"")
    return KeptAnswer(200, tuple(JSON.fields), ended.value or b"null")


@functools.cache
def _identity(spec: JobSpec) -> str:
    return key_digest(identity_of(spec.called.function))
