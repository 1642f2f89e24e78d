"""Mistakes in the face of the SDK: errors, attempts, connections; and in what is told of a stream.

Rule: the text to replace is short, and says what it does: it must outlive the changes around it.
"""

from bench.mutants.mutant import Mutant

_STAYS = "pytest tests/sdk/test_stays_broken.py"
_GAPS = "pytest tests/test_mutation_gaps.py::"
_LEAKS = "pytest tests/sdk/test_leaks.py"

_ERRORS = (
    Mutant(
        "raw-transport-error",
        4,
        "the exception of the network library comes out",
        "sdk/transport.py",
        "        return broke_in_body(problem)\n",
        "        raise problem\n",
        (f"{_STAYS} -k sse-cut-rst",),
    ),
    Mutant(
        "attempts-multiplied",
        4,
        "the SDK's own retries run all of ours again",
        "sdk/middleware.py",
        '"x-should-retry": "false"',
        '"x-should-retry": "true"',
        (f"{_STAYS} -k test_the_retries_of_the_sdk_do_not_multiply_ours",),
    ),
    Mutant(
        "max-retries-0-ignored",
        4,
        "a caller who wants one attempt gets more",
        "sdk/call.py",
        "    return asked != 0\n",
        "    return True\n",
        (f"{_STAYS} -k test_max_retries_0_is_one_attempt",),
    ),
    Mutant(
        "error-without-partial",
        4,
        "what was received is not on the error",
        "sdk/exceptions.py",
        "error.failure, error.partial, error.report, error.unshown = failure, partial, report, unshown",
        "error.failure, error.partial, error.report, error.unshown = failure, {}, report, []",
        (f"{_STAYS} -k sse-cut-rst",),
    ),
    Mutant(
        "key-in-error",
        4,
        "the request with its credentials hangs on the error",
        "sdk/exceptions.py",
        'request = httpx2.Request(response.request.method, response.request.url.copy_with(userinfo=b""))',
        "request = response.request",
        (f"{_GAPS}test_no_error_holds_a_credential_or_the_request",),
    ),
    Mutant(
        "error-not-typed",
        4,
        "an overloaded service is raised as a lost connection",
        "sdk/exceptions.py",
        "    return _with_code(found, failure.error_code) if failure.error_code else found\n",
        "    return anthropic.APIConnectionError\n",
        (f"{_STAYS} -k sse-overloaded_error",),
    ),
    Mutant(
        "broken-bytes-handed-on",
        2,
        "a chunk of several events is handed on without its last",
        "drivers/pump.py",
        'return b"".join([event.raw for event in events])',
        'return b"".join([event.raw for event in events[:-1]])',
        ("pytest tests/sdk/test_clients.py::test_an_unbroken_stream_is_what_the_plain_sdk_gives",),
    ),
)
_CONNECTIONS = (
    Mutant(
        "close-does-not-close",
        9,
        "closing a stream leaves its upstream open for as long as somebody holds it",
        "sdk/body.py",
        '        """Drops the upstream at once."""\n        self._pump.close()\n',
        '        """Drops the upstream at once."""\n',
        (f"{_GAPS}test_closing_drops_the_upstream_though_the_stream_is_still_held",),
        quick=True,
    ),
    Mutant(
        "async-close-does-not-close",
        9,
        "closing an async stream leaves its upstream open for as long as somebody holds it",
        "sdk/body.py",
        '        """Drops the upstream at once."""\n        await self._pump.close()\n',
        '        """Drops the upstream at once."""\n',
        (f"{_GAPS}test_closing_drops_the_upstream_though_the_async_stream_is_still_held",),
    ),
    Mutant(
        "async-upstream-not-closed",
        9,
        "an async response that was never read is not closed",
        "sdk/transport.py",
        "        await response.aclose()\n",
        "        pass\n",
        (f"{_GAPS}test_closing_drops_the_upstream_though_the_async_stream_is_still_held",),
    ),
    Mutant(
        "forgotten-stream-lingers",
        9,
        "a stream that nobody holds any more is kept alive by its own first response",
        "sdk/transport.py",
        "first, self._first = self._first, None",
        "first = self._first",
        (f"{_LEAKS} -k test_a_stream_that_nobody_holds_is_freed_without_the_collector",),
    ),
    Mutant(
        "reader-not-woken",
        9,
        "closing from another thread leaves the reader waiting",
        "sdk/transport.py",
        "        self._watched.cut()\n",
        "",
        (f"{_LEAKS} -k test_closing_from_another_thread_wakes_the_reader_and_is_no_fault",),
    ),
    Mutant(
        "watchdog-stays",
        9,
        "the thread of the watchdog outlives a stream that was closed",
        "sdk/watchdog.py",
        "            _watchdog.remove(self)\n",
        "            pass\n",
        (f"{_GAPS}test_closing_drops_the_upstream_though_the_stream_is_still_held",),
    ),
)
_TOLD = (
    Mutant(
        "contents-in-the-log",
        4,
        "the service's words, which may quote the request, are logged",
        "sdk/story.py",
        'what["detail"] if what and "detail" in what else "-",',
        "failed.failure.api_message if failed.failure else None,",
        (f"{_GAPS}test_a_recovery_is_one_line_in_the_log_without_contents",),
    ),
    Mutant(
        "contents-in-the-report",
        4,
        "the service's words, which may quote the request, are in the report",
        "reports.py",
        'names = ("detail", ',
        'names = ("detail", "api_message", ',
        ("pytest tests/test_reports.py::test_to_dict_is_json_and_holds_no_words_of_the_service",),
    ),
    Mutant(
        "estimates-unmarked",
        4,
        "a lower bound is reported as if it were known",
        "reports.py",
        "lower_bound = lower_bound or broke",
        "pass",
        ("pytest tests/test_reports.py::test_usage_is_the_sum_over_all_attempts",),
    ),
)

MUTANTS = (*_ERRORS, *_CONNECTIONS, *_TOLD)
