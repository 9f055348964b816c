"""The authentication service: whom the relay asks whether a token is right.

The rules of this file:

- Questions are asked in threads, at most 8 at once, and 256 wait.
- A question has one time-out from beginning to end, waiting included.
- That the service begins to fail, and that it is back, is logged once; nothing of a token ever is.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from reference.core.authentication import Verdict
from reference.question import Judged, Question, UnavailableError, service_url

if TYPE_CHECKING:
    import structlog

    from reference.metrics import Metrics

AT_ONCE, WAITING = 8, 256


class Service:
    """The service that judges tokens; `tell` hears of each session's verdict once, in the event loop."""

    def __init__(
        self,
        url: str,
        timeout: float,
        metrics: Metrics,
        logger: structlog.stdlib.BoundLogger,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare to ask `url` and wait `timeout` seconds; raises ValueError for a URL that is none."""
        self._url = service_url(url)
        self._timeout = timeout
        self._metrics = metrics
        self._logger = logger
        self._tls = tls or ssl.create_default_context()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="authentication")
        self._asking: dict[Question, asyncio.TimerHandle] = {}
        self._trouble = False
        self.tell: Callable[[int, Verdict, str], None] = lambda *_: None

    def ask(self, session: int, token: str) -> None:
        """Let the token of a session be judged."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        if len(self._asking) >= AT_ONCE + WAITING:
            why = UnavailableError("too many tokens wait to be judged")
            loop.call_soon(self._conclude, session, now, why)
            return
        question = Question(self._url, self._tls, token, now + self._timeout)
        self._asking[question] = loop.call_later(self._timeout, question.give_up)
        answer = loop.run_in_executor(self._pool, question.ask)
        answer.add_done_callback(partial(self._answered, session, question, now))

    def close(self) -> None:
        """Give up whatever is being asked; nobody hears of it any more."""
        self.tell = lambda *_: None
        for question, timer in self._asking.items():
            timer.cancel()
            question.give_up()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answered(
        self, session: int, question: Question, asked: float, answer: asyncio.Future[Judged]
    ) -> None:
        self._asking.pop(question).cancel()
        if not answer.cancelled():
            self._conclude(session, asked, answer.exception() or answer.result())

    def _conclude(self, session: int, asked: float, outcome: Judged | BaseException) -> None:
        """Tell, count, and log when the service begins to fail and when it is back."""
        verdict, fingerprint = outcome if isinstance(outcome, tuple) else (Verdict.UNAVAILABLE, "")
        self._metrics.authentications.labels(str(verdict)).inc()
        self._metrics.asked.observe(time.monotonic() - asked)
        trouble = verdict is Verdict.UNAVAILABLE
        if trouble and not self._trouble:
            self._logger.warning("authentication.unavailable", why=str(outcome))
        elif self._trouble and not trouble:
            self._logger.info("authentication.available")
        self._trouble = trouble
        self.tell(session, verdict, fingerprint)
        if isinstance(outcome, BaseException) and not isinstance(outcome, UnavailableError):
            raise outcome
