"""A relay of one's own in Python: Starlette or FastAPI in front, httpx behind.

Rule: only what is plainly there counts; what a name holds elsewhere is not known here.
"""

import ast
import warnings
from collections.abc import Iterator

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions, Checked, Place
from midstream.doctor.lint.source import Source, Unreadable
from midstream.doctor.lint.units import said_s

# A module that a person wrote is far below; parsing takes about a second for each of these.
TEXT_MAX = 400_000

# httpx's own, for each of connect, read, write and pool.
HTTPX_S = 5.0

_LIBRARIES = ("httpx", "httpx2")
_ASKING = {"AsyncClient", "Client", "stream"}
_STREAMED = {"StreamingResponse", "EventSourceResponse"}
_CATCH_ALL = {"Exception", "BaseException"}


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a module. Raises `Unreadable`."""
    checked = Checked(files={source.name: source.lines})
    tree = _parsed(source)
    nodes = list(ast.walk(tree))
    modules, names = _imported(nodes)
    streams = any(_name(node) in _STREAMED for node in nodes)
    relays = bool(streams or modules or names)
    for node in nodes:
        _middleware(node, source, checked, streams=streams)
        if isinstance(node, ast.Call) and _asks(node.func, modules, names):
            _timeout(node, source, assume, checked)
        if relays and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _swallowed(node, source, checked)
    if not (relays or checked.findings):
        checked.nothing(f"{source.name} neither answers with a stream nor asks with httpx")
    return checked


def _parsed(source: Source) -> ast.Module:
    if len(source.text) > TEXT_MAX:
        raise Unreadable(f"{source.name} is larger than {TEXT_MAX // 1000} kB: no module is")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.text)
    except SyntaxError as problem:
        raise Unreadable(f"{source.name}:{problem.lineno or 1} is not Python: {problem.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise Unreadable(f"{source.name} is not Python that can be read here") from None


def _imported(nodes: list[ast.AST]) -> tuple[set[str], set[str]]:
    """The names of httpx itself, and of what asks with it."""
    modules, names = set(), set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {each.asname or each.name for each in node.names if each.name in _LIBRARIES}
        elif isinstance(node, ast.ImportFrom) and node.module in _LIBRARIES:
            names |= {each.asname or each.name for each in node.names if each.name in _ASKING}
    return modules, names


def _asks(called: ast.expr, modules: set[str], names: set[str]) -> bool:
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.value.id in modules and called.attr in _ASKING
    return isinstance(called, ast.Name) and called.id in names


def _timeout(call: ast.Call, source: Source, assume: Assumptions, checked: Checked) -> None:
    """The silence that a client bears."""
    said = next((each.value for each in call.keywords if each.arg == "timeout"), None)
    if said is None and any(each.arg is None for each in call.keywords):
        return
    silence_s = HTTPX_S if said is None else _read_s(said)
    if silence_s is not None and silence_s < assume.silence_s:
        what = (
            "no `timeout`, so a silence of 5 s ends it" if said is None else f"a silence of {said_s(silence_s)} ends it"
        )
        checked.add("PY-HTTPX-TIMEOUT", _place(said or call, source), f"`{_name(call.func)}` with {what}")


def _read_s(said: ast.expr) -> float | None:
    """The limit of a read in seconds; ``None``: there is none, or it is not known here."""
    if isinstance(said, ast.Call) and _name(said.func) == "Timeout":
        named = {each.arg: each.value for each in said.keywords}
        return _read_s(named["read"]) if "read" in named else _read_s(said.args[0]) if said.args else None
    value = said.value if isinstance(said, ast.Constant) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _middleware(node: ast.AST, source: Source, checked: Checked, *, streams: bool) -> None:
    """What puts a task of its own between the relay and the client."""
    found = ""
    if isinstance(node, ast.ClassDef) and any(_name(base) == "BaseHTTPMiddleware" for base in node.bases):
        found = f"`{node.name}` is a BaseHTTPMiddleware"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(_is_of_http, node.decorator_list)):
        found = f'`{node.name}` is made one by `middleware("http")`'
    if found:
        severity = None if streams else Severity.WARNING
        checked.add("PY-BASE-MIDDLEWARE", _place(node, source), found, severity=severity)


def _is_of_http(decorator: ast.expr) -> bool:
    if not (isinstance(decorator, ast.Call) and _name(decorator.func) == "middleware" and decorator.args):
        return False
    first = decorator.args[0]
    return isinstance(first, ast.Constant) and first.value == "http"


def _swallowed(function: ast.FunctionDef | ast.AsyncFunctionDef, source: Source, checked: Checked) -> None:
    """A relay that ends well whatever happens: a generator around whose pieces an error is caught and dropped."""
    for node in _own(function):
        if isinstance(node, ast.Try) and any(
            isinstance(each, ast.Yield) for part in node.body for each in ast.walk(part)
        ):
            for handler in node.handlers:
                if _catches_all(handler) and not any(
                    isinstance(each, ast.Raise | ast.Yield) for each in ast.walk(handler)
                ):
                    checked.add("PY-SWALLOWED", _place(handler, source), f"`{function.name}` goes on to its end")


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function, without the functions in it."""
    todo = list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or _name(kind) in _CATCH_ALL or _is_of_httpx(kind) for kind in kinds)


def _is_of_httpx(kind: ast.expr) -> bool:
    """Whether it is what httpx raises when the upstream breaks off."""
    return _name(kind) in {
        "HTTPError",
        "TransportError",
        "RequestError",
        "RemoteProtocolError",
        "ReadError",
        "NetworkError",
    }


def _name(node: ast.AST | None) -> str:
    """The last name of what is called or named."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _place(node: ast.AST, source: Source) -> Place:
    return Place(source.name, getattr(node, "lineno", 1))
