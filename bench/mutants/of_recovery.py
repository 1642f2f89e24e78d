"""Mistakes in what is shown, in how failures are classified, in what is decided and planned, and in the watchdogs.

Rule: the text to replace is short, and says what it does: it must outlive the changes around it.
"""

from bench.mutants.mutant import Mutant

_TOLD = "pytest tests/test_every_cut.py::test_cuts_of_a_text_and_a_call_are_well"
_COMMIT = "pytest tests/recovery/test_commit.py::"
_ROWS = f"{_COMMIT}test_the_table_row_by_row"
_FAILURE = "pytest tests/recovery/test_failure.py::"
_DECIDE = "pytest tests/recovery/test_policy.py::"
_PLAN = "pytest tests/recovery/test_plan.py::"
_FLOW = "pytest tests/usual/test_taking.py::"
_STAYS = "pytest tests/sdk/test_stays_broken.py"

_SHOWN = (
    Mutant(
        "thinking-shown-early",
        3,
        "thinking is shown as it comes",
        "recovery/commit.py",
        '    "thinking": Show.WITH_CONTENT,',
        '    "thinking": Show.AT_ONCE,',
        (_ROWS, "bench.every_cut --only anthropic-sdk-php-thinking --share 0.02"),
    ),
    Mutant(
        "tool-shown-before-stop",
        3,
        "a tool call is shown as it comes",
        "recovery/commit.py",
        '    "tool_use": Show.WHEN_COMPLETE,',
        '    "tool_use": Show.AT_ONCE,',
        (_ROWS, _TOLD),
        quick=True,
    ),
    Mutant(
        "unpaired-server-tool-shown",
        3,
        "a server tool's call is shown before its result",
        "recovery/commit.py",
        '"server_tool_use": Show.WITH_RESULT,',
        '"server_tool_use": Show.WHOLE,',
        (_ROWS,),
    ),
    Mutant(
        "bare-call-complete",
        3,
        "a call without any input counts as complete with its stop",
        "recovery/commit.py",
        "return block.has_fragment or number + 1 < len(self._message.blocks)",
        "return True",
        (_ROWS,),
    ),
    Mutant(
        "blank-text-shown",
        3,
        "blank text is shown, though it cannot be sent back",
        "recovery/commit.py",
        'blank = block.type == "text" and block.blank',
        "blank = False",
        (_ROWS,),
    ),
    Mutant(
        "garbled-call-passed",
        4,
        "a call that does not parse is passed on where the stop reason says that all is well",
        "recovery/commit.py",
        "return next((block for block in calls if block.input is None), None)",
        "return None",
        (f"{_COMMIT}test_a_call_that_does_not_parse_is_garbled_where_all_is_said_to_be_well",),
    ),
)
_FAILURES = (
    Mutant(
        "overloaded-is-final",
        4,
        "an overloaded service counts as a wrong request",
        "recovery/failure.py",
        '"overloaded_error": (Kind.OVERLOADED, 529),',
        '"overloaded_error": (Kind.REJECTED, 529),',
        (f"{_STAYS} -k sse-overloaded_error",),
    ),
    Mutant(
        "status-200-kept",
        4,
        "an error that was reported under 200 is raised with the status 200",
        "recovery/failure.py",
        "return failure.status if _is_error(failure.status) else 400",
        "return failure.status",
        (f"{_FAILURE}test_an_error_that_the_service_reported_is_never_raised_as_a_success",),
    ),
    Mutant(
        "unknown-error-is-final",
        4,
        "an in-stream error of an unknown type counts as a wrong request",
        "recovery/classify.py",
        "    return Kind.SERVER_ERROR, 500\n",
        "    return Kind.REJECTED, 400\n",
        (f"{_STAYS} -k sse-unknown_error",),
    ),
    Mutant(
        "spend-limit-tried-again",
        4,
        "a spend limit counts as a rate limit",
        "recovery/failure.py",
        '(429, "enforced_spend_limit_reached"): Kind.REJECTED,',
        '(429, "enforced_spend_limit_reached"): Kind.RATE_LIMITED,',
        (f"{_STAYS} -k sse-error-spend-limit",),
    ),
    Mutant(
        "exhausted-tried-again",
        4,
        "a midstream further up that gave up is asked again",
        "recovery/policy.py",
        "if failure.exhausted:",
        "if False:",
        (f"{_STAYS} -k sse-error-exhausted",),
    ),
)
_DECISIONS = (
    Mutant(
        "rejected-tried-again",
        4,
        "a rejected request is sent again",
        "recovery/policy.py",
        "if failure.kind is Kind.REJECTED:",
        "if False:",
        (
            f"{_DECIDE}test_a_rejection_and_a_limit_are_final_whatever_the_server_says",
            f"{_STAYS} -k sse-invalid_request_error",
        ),
    ),
    Mutant(
        "budget-ignored",
        6,
        "the retry budget of all streams is not asked",
        "recovery/policy.py",
        "if not budget_left():",
        "if False:",
        (
            f"{_DECIDE}test_the_shared_budget_has_the_last_word",
            "pytest tests/recovery/test_engine.py::test_the_retry_budget_is_asked_before_each_retry_and_only_then",
        ),
    ),
    Mutant(
        "attempts-unlimited",
        6,
        "attempts that bring nothing new are not counted",
        "recovery/policy.py",
        "if spent.attempts >= policy.attempts:",
        "if False:",
        (f"{_DECIDE}test_attempts_since_something_new_was_shown_are_limited", "simulation --runs 400"),
    ),
    Mutant(
        "attempts-never-new",
        3,
        "attempts are counted on, though something new was shown",
        "recovery/standing.py",
        "self.attempts, self.cut, self.stop_held = 1, None, None",
        "self.cut, self.stop_held = None, None",
        ("pytest tests/recovery/test_engine.py::test_attempts_count_since_something_new_was_last_shown",),
    ),
    Mutant(
        "retry-after-unlimited",
        4,
        "however long the server asks to wait, it is waited",
        "recovery/policy.py",
        "if asked_s is not None and not asked_s <= policy.retry_after_max_s:",
        "if False:",
        (f"{_DECIDE}test_above_the_ceiling_it_gives_up_at_once_and_says_so",),
    ),
    Mutant(
        "elapsed-ignored",
        6,
        "the time of the whole stream is no limit to a wait",
        "recovery/policy.py",
        "if policy.elapsed_s is not None and spent.elapsed_s + delay_s >= policy.elapsed_s:",
        "if False:",
        (f"{_DECIDE}test_an_attempt_that_could_only_begin_too_late_is_not_made",),
    ),
)
_PLANS = (
    Mutant(
        "whitespace-sent-back",
        3,
        "a prefix ends in white space, which the API refuses",
        "recovery/plan.py",
        'kept = last["text"].rstrip()',
        'kept = last["text"]',
        (f"{_PLAN}test_a_prefix_is_the_last_assistant_turn_without_the_blanks_at_its_end", _TOLD),
    ),
    Mutant(
        "unsigned-thinking-sent",
        3,
        "thinking without its signature is sent back, which the API refuses",
        "recovery/plan.py",
        '(block.type == "redacted_thinking" or block.signed)',
        "True",
        (f"{_PLAN}test_what_is_sent_back_is_what_the_api_takes",),
    ),
    Mutant(
        "restart-after-shown",
        3,
        "the request is sent again as it was, though the consumer has a part of the reply",
        "recovery/plan.py",
        "    if not shown.blocks:\n        return Restart()",
        "    if True:\n        return Restart()",
        (_TOLD, "simulation --runs 400"),
        quick=True,
    ),
    Mutant(
        "tools-run-twice",
        3,
        "the model is run again behind a complete tool call",
        "recovery/plan.py",
        'if any(block.type == "tool_use" and block.caller_is_direct for block in shown.blocks):',
        "if False:",
        (f"{_PLAN}test_a_complete_client_call_is_settled_whatever_came_after_it", _TOLD),
    ),
    Mutant(
        "remote-tools-run-twice",
        6,
        "a request is sent again though an MCP call was made",
        "recovery/plan.py",
        "if (call := lost_remote_call(situation.dropped) or situation.lost_call) and not policy.repeat_remote_tools:",
        "if (call := lost_remote_call(situation.dropped)) and False:",
        (f"{_PLAN}test_a_lost_mcp_call_is_named_and_not_made_again",),
    ),
    Mutant(
        "max-tokens-kept",
        3,
        "max_tokens is as high as if nothing had been received",
        "recovery/plan.py",
        "max(limit - received, min(limit, MAX_TOKENS_MIN))",
        "max(limit, min(received, MAX_TOKENS_MIN))",
        (f"{_PLAN}test_max_tokens_is_lowered_by_about_a_sixth_of_the_bytes",),
    ),
    Mutant(
        "container-not-set",
        3,
        "a continuation runs in another container than the reply named",
        "recovery/plan.py",
        'edits["container"] = container',
        "pass",
        (f"{_PLAN}test_a_container_s_id_is_set_only_where_the_request_has_none",),
    ),
    Mutant(
        "prefix-for-every-model",
        3,
        "models that refuse a prefix are given one",
        "recovery/models.py",
        'return "prefix" if _PREFIX.fullmatch(name) else "turn"',
        'return "prefix"',
        ("pytest tests/recovery/test_models.py::test_everything_later_and_everything_unknown_takes_a_turn",),
    ),
)
_WATCHDOGS = (
    Mutant(
        "silence-ignored",
        6,
        "an upstream may be silent for ever",
        "recovery/watch.py",
        "if now >= self.silence_at:",
        "if False:",
        (
            "simulation --runs 30",
            "pytest tests/recovery/test_watch.py::test_silence_is_180_s_after_any_byte",
        ),
        quick=True,
    ),
    Mutant(
        "progress-by-pings",
        6,
        "a ping counts as progress",
        "recovery/attempt.py",
        "            self.watch.pinged()\n",
        "            self.watch.pinged()\n            self.watch.progressed(now)\n",
        (
            "pytest tests/recovery/test_attempt.py::test_progress_is_what_changes_the_snapshot_and_estimated_tokens",
            "pytest tests/test_scenarios.py -k pings_and_nothing_else",
        ),
    ),
    Mutant(
        "held-unbounded",
        6,
        "what is held back may be of any size",
        "recovery/attempt.py",
        "if self.commit.held_bytes > self._policy.held_bytes_max:",
        "if False:",
        ("pytest tests/test_mutation_gaps.py::test_what_is_held_back_is_bounded_by_its_own_limit",),
    ),
)
_FLOWS = (
    Mutant(
        "flow-too-late",
        6,
        "the usual chunk is taken though its time is over",
        "usual/taking.py",
        "now >= self.due or ",
        "",
        (f"{_FLOW}test_the_limits_of_time_and_size_hold_for_what_is_taken",),
    ),
    Mutant(
        "flow-unbounded",
        6,
        "usual chunks may make a reply of any length",
        "usual/taking.py",
        "> self._bytes_max",
        "> 1 << 60",
        (f"{_FLOW}test_the_limits_of_time_and_size_hold_for_what_is_taken",),
    ),
    Mutant(
        "flow-forgotten",
        6,
        "the watchdogs do not know of the usual chunks",
        "recovery/attempt.py",
        "self.watch.flowed(flow.at)",
        "pass",
        (f"{_FLOW}test_whether_the_flow_is_asked_makes_no_difference", "simulation --runs 4000"),
    ),
)

MUTANTS = (*_SHOWN, *_FAILURES, *_DECISIONS, *_PLANS, *_WATCHDOGS, *_FLOWS)
