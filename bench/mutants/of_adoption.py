"""Mistakes in going on elsewhere: on another upstream, or in another process.

Rule: the text to replace is short, and says what it does: it must outlive the changes around it.
"""

from bench.mutants.mutant import Mutant

_CHOICE = "pytest tests/recovery/test_choice.py::"
_PAST = "pytest tests/recovery/test_past.py::"

MUTANTS = (
    Mutant(
        "thinking-sent-elsewhere",
        3,
        "another upstream is sent thinking that it did not sign",
        "recovery/plan.py",
        "elsewhere = bool(situation.foreign)",
        "elsewhere = False",
        (f"{_CHOICE}test_another_upstream_is_sent_no_thinking_and_the_same_one_its_own",),
    ),
    Mutant(
        "server-tools-move",
        3,
        "a reply with blocks that only their own upstream understands moves",
        "recovery/plan.py",
        "return not (homebound or container_of(situation) or any(map(stays_at_home, received)))",
        "return True",
        (f"{_CHOICE}test_after_content_another_may_take_over_but_for_blocks_that_stay_at_home",),
    ),
    Mutant(
        "back-off-from-nobody",
        3,
        "a service that did not fail is spared as if it had",
        "recovery/choice.py",
        "rest_s = None if upstream in standing.failed_at else 0.0",
        "rest_s = None",
        (f"{_CHOICE}test_a_service_that_takes_over_is_asked_at_once_and_one_that_failed_gets_its_rest",),
    ),
    Mutant(
        "crash-forgets-attempts",
        6,
        "the attempts of an earlier process are not counted",
        "recovery/past.py",
        "folded.standing.attempts += 1",
        "pass",
        (f"{_PAST}test_attempts_since_something_was_shown_survive", "simulation --runs 3000"),
    ),
    Mutant(
        "crash-forgets-calls",
        3,
        "a remote call of an earlier process is made again",
        "recovery/past.py",
        "standing.lost_call = standing.lost_call or name",
        "pass",
        (f"{_PAST}test_a_remote_call_whose_result_is_lost_is_not_made_again",),
    ),
    Mutant(
        "crash-forgets-makers",
        3,
        "what an earlier process got from one upstream is sent to another as its own",
        "recovery/past.py",
        "standing.makers += (record.upstream,)",
        "standing.makers += (0,)",
        (f"{_PAST}test_the_route_is_asked_and_what_another_made_is_known",),
    ),
    Mutant(
        "calls-not-noted",
        3,
        "a journal is not told of remote calls",
        "recovery/facts.py",
        'if block.type == "mcp_tool_use" and block.closed and block.input is not None:',
        "if False:",
        ("pytest tests/recovery/test_facts.py::test_what_bears_on_recovery_is_noted_before_it_is_shown",),
    ),
)
