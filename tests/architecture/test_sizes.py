"""Files and functions stay small enough to be read at once."""

import ast

from architecture import source_tree as source

FILE_LINES = 500
FUNCTION_LINES = 60


def _own_lines(function):
    """The lines of a function, without its docstring and without the functions defined within it."""
    first, last = function.lineno, function.end_lineno
    count = last - first + 1
    if ast.get_docstring(function, clean=False) is not None:
        text = function.body[0]
        count -= text.end_lineno - text.lineno + 1
    inner = [node for node in ast.walk(function) if node is not function and isinstance(node, _FUNCTIONS)]
    outermost = [one for one in inner if not any(one is not other and _within(one, other) for other in inner)]
    return count - sum(node.end_lineno - node.lineno + 1 for node in outermost)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _within(node, other):
    return other.lineno <= node.lineno and node.end_lineno <= other.end_lineno


def test_no_source_file_is_longer_than_five_hundred_lines():
    long = {source.shown(path): len(source.lines(path)) for path in source.files()}
    assert {name: count for name, count in long.items() if count > FILE_LINES} == {}


def test_no_function_is_longer_than_sixty_lines_beside_its_docstring():
    long = {
        f"{source.shown(path)}:{node.lineno} {node.name}": _own_lines(node)
        for path in source.files()
        if source.GENERATED not in path.parents
        for node in ast.walk(source.tree(path))
        if isinstance(node, _FUNCTIONS)
    }
    assert {name: count for name, count in long.items() if count > FUNCTION_LINES} == {}


def test_a_docstring_and_inner_functions_do_not_count_as_lines_of_a_function():
    code = 'def f():\n    """One.\n\n    Two.\n    """\n    def g():\n        return 1\n    return g\n'
    assert _own_lines(ast.parse(code).body[0]) == 2
