"""One file of Python to its facts, in one walk over its syntax tree. Nothing of it is run."""

import ast
import warnings
from collections.abc import Callable
from typing import Any

from ramet.check import imports, schema, sql, texts, waivers
from ramet.check.facts import Call, Declaration, Facts, Import, Mutation, Problem, State, Statement, Use
from ramet.check.scopes import Scopes

_BLOCKS = {"begin", "begin_nested", "transaction", "atomic"}
_ASYNC_BLOCKS = _BLOCKS | {"read", "write", "session"}
_VERBS = {"expose", "get", "post", "put", "patch", "delete"}
_QUERIES = {"fetch", "fetchrow", "fetchval", "execute", "executemany", "cursor", "prepare"}
_CHANGES = {
    *("append", "appendleft", "add", "update", "setdefault", "extend", "extendleft", "insert", "subtract"),
    *("pop", "popleft", "popitem", "clear", "remove", "discard", "sort", "reverse", "rotate", "move_to_end"),
    *("difference_update", "intersection_update", "symmetric_difference_update"),
}
"""Methods that change a dict, list, set or counter in place."""
_LEAVES = (ast.Constant, ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop, ast.Pass, ast.Break, ast.Continue)


def read(source: bytes, name: str, *, is_package: bool) -> Facts:
    """name: the file's own, such as `shop.orders.api`. is_package: it is an `__init__`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the user's invalid escapes, which are another tool's business
            tree = ast.parse(source)
        reader = _Reader(name, is_package=is_package)
        reader.read(tree)
        return reader.facts()._replace(waivers=tuple(waivers.waivers(source)))
    except SyntaxError as error:
        return Facts(problem=Problem(error.lineno or 1, error.msg))
    except (ValueError, UnicodeDecodeError) as error:  # null bytes
        return Facts(problem=Problem(1, str(error)))
    except (RecursionError, MemoryError):  # the parser's own word for brackets that are nested too deeply
        return Facts(problem=Problem(1, "it is nested too deeply to be read"))


class _Reader:
    def __init__(self, name: str, *, is_package: bool) -> None:
        self._name = name
        self._is_package = is_package
        self._scopes = Scopes()
        self._block = 0
        self._is_typing = False
        self._texts: dict[str, str] = {}
        self._module_names = {"module"}
        self._database_names = {"db"}
        self._work: dict[str, int] = {}
        """Functions given to `db.run`, and where."""
        self._imports: list[Import] = []
        self._unresolved: list[int] = []
        self._statements: list[Statement] = []
        self._states: list[State] = []
        self._declarations: list[tuple[str, Declaration]] = []
        self._exposed: dict[str, int] = {}
        self._databases: list[str] = []
        self._at_import: set[str] = set()
        self._visitors: dict[type[ast.AST], Callable[[Any], object]] = {
            ast.FunctionDef: self._visit_function,
            ast.AsyncFunctionDef: self._visit_function,
            ast.Lambda: self._visit_lambda,
            ast.ClassDef: self._visit_class,
            ast.Name: self._visit_name,
            ast.ExceptHandler: self._visit_binding,
            ast.MatchAs: self._visit_binding,
            ast.MatchStar: self._visit_binding,
            ast.Global: self._visit_global,
            ast.Attribute: self._visit_attribute,
            ast.Import: self._visit_import,
            ast.ImportFrom: self._visit_import_from,
            ast.If: self._visit_if,
            ast.With: self._visit_with,
            ast.AsyncWith: self._visit_with,
            ast.Call: self._visit_call,
            ast.Assign: self._visit_assign,
            ast.AnnAssign: self._visit_annotated,
            ast.AugAssign: self._visit_augmented,
            ast.Delete: self._visit_delete,
            ast.JoinedStr: self._text,
            ast.Constant: self._text,
            ast.BinOp: self._visit_operation,
            ast.Raise: self._visit_raise,
        }

    def read(self, tree: ast.Module) -> None:
        for statement in tree.body:  # before the functions that use them
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    if (text := texts.text_of(value, self._texts)) is not None:
                        self._texts[name] = text
                    if isinstance(value, ast.Call):
                        self._bind(name, texts.dotted(value.func).rpartition(".")[2])
                case _:
                    pass
        self._body(tree.body)

    def _bind(self, name: str, made_by: str) -> None:
        if made_by == "Module":
            self._module_names.add(name)
        elif made_by == "database":
            self._database_names.add(name)
            self._databases.append(name)

    def facts(self) -> Facts:
        bound = {each.bound for each in self._imports}
        functions = self._scopes.functions
        known = bound | self._scopes.names
        uses: dict[str, Use] = {}
        calls: dict[tuple[str, str, int], Call] = {}
        mutations: dict[tuple[str, str], Mutation] = {}
        for root, said in self._scopes.said:
            if isinstance(said, Use):
                if root in bound:
                    uses.setdefault(said.dotted, said)
            elif isinstance(said, Mutation):
                if root in known:
                    mutations.setdefault((said.function, said.dotted), said)
            elif root in bound or root in {"self", "cls"} or said.dotted in functions:
                block = said.block_line or self._work.get(said.function, 0)
                calls.setdefault((said.function, said.dotted, block), said._replace(block_line=block))
        paths = imports.bindings(self._imports)
        return Facts(
            imports=tuple(self._imports),
            unresolved=tuple(self._unresolved),
            uses=tuple(uses.values()),
            calls=tuple(calls.values()),
            statements=tuple(self._statements),
            states=tuple(self._states),
            mutations=tuple(mutations.values()),
            declarations=tuple(each for maker, each in self._declarations if imports.resolve(maker, paths) in imports.MODULE),
            functions=tuple(functions),
            names=tuple(sorted(self._scopes.names)),
            exposed=self._exposed,
            databases=tuple(self._databases),
            at_import=tuple(sorted(self._at_import)),
        )

    # The walk

    def _visit(self, node: Any) -> None:
        visitor = self._visitors.get(node.__class__)
        if visitor is not None:
            visitor(node)
        elif isinstance(node, ast.AST) and not isinstance(node, _LEAVES):
            self._below(node)

    def _each(self, nodes: Any) -> None:
        for node in nodes:
            self._visit(node)

    def _below(self, node: ast.AST) -> None:
        for field in node._fields:
            value = getattr(node, field, None)
            if value.__class__ is list:
                self._each(value)
            elif isinstance(value, ast.AST):
                self._visit(value)

    # Definitions

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorated(node)
        arguments = node.args
        self._each(arguments.defaults)
        self._each(arguments.kw_defaults)
        parameters = _parameters(arguments)
        self._each(each.annotation for each in parameters)
        self._visit(node.returns)
        self._scopes.bind(node.name)
        is_atomic = any(texts.dotted(each).endswith("atomic") for each in node.decorator_list)
        around, self._block = self._block, node.lineno if is_atomic else 0
        self._scopes.enter_function(node.name, node.lineno, (each.arg for each in parameters))
        self._body(node.body)
        self._scopes.leave_function()
        self._block = around

    def _visit_lambda(self, node: ast.Lambda) -> None:
        self._scopes.enter_lambda(each.arg for each in _parameters(node.args))
        self._visit(node.body)
        self._scopes.leave_function()

    def _visit_class(self, node: ast.ClassDef) -> None:
        self._decorated(node)
        self._each(node.bases)
        self._each(node.keywords)
        self._scopes.bind(node.name)
        self._scopes.enter_class(node.name)
        for statement in node.body:
            self._statements += schema.of_class_body(statement)
        self._body(node.body)
        self._scopes.leave_class()

    def _decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            written = texts.dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if written and not self._scopes.function:
                self._at_import.add(written)
            owner, _, verb = written.rpartition(".")
            if verb in _VERBS and owner.rpartition(".")[2] in self._module_names:
                self._exposed[node.name] = node.lineno
            self._visit(decorator)

    def _body(self, body: list[ast.stmt]) -> None:
        """Without its docstring, which may speak of SQL."""
        first = body[0] if body else None
        is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        self._each(body[1:] if is_text else body)

    # Names

    def _visit_name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._scopes.bind(node.id)

    def _visit_binding(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._scopes.bind(node.name)
        self._below(node)

    def _visit_global(self, node: ast.Global) -> None:
        self._scopes.bind_outer(node.names)

    def _visit_attribute(self, node: ast.Attribute) -> None:
        written = texts.dotted(node)
        if written:
            self._scopes.say(Use(node.lineno, written))
        else:
            self._visit(node.value)

    # Imports

    def _visit_import(self, node: ast.Import) -> None:
        self._imports += imports.plain(node, is_typing=self._is_typing)

    def _visit_import_from(self, node: ast.ImportFrom) -> None:
        self._imports += imports.of_names(node, self._name, is_package=self._is_package, is_typing=self._is_typing)

    def _visit_if(self, node: ast.If) -> None:
        if texts.dotted(node.test).rpartition(".")[2] == "TYPE_CHECKING":
            before, self._is_typing = self._is_typing, True
            self._each(node.body)
            self._is_typing = before
            self._each(node.orelse)
        else:
            self._below(node)

    # Transactions

    def _visit_with(self, node: ast.With | ast.AsyncWith) -> None:
        names = _ASYNC_BLOCKS if isinstance(node, ast.AsyncWith) else _BLOCKS
        around = self._block
        for item in node.items:
            opened = item.context_expr
            self._visit(opened)
            self._visit(item.optional_vars)
            if isinstance(opened, ast.Call) and _last(opened.func) in names:
                self._block = self._block or node.lineno
        self._each(node.body)
        self._block = around

    # Values

    def _visit_call(self, node: ast.Call) -> None:
        written = texts.dotted(node.func)
        last = _last(node.func)
        if written:
            if not self._scopes.function:
                self._at_import.add(written)
            self._scopes.say(Call(node.lineno, self._scopes.function, written, self._block))
            if "." in written:
                self._scopes.say(Use(node.lineno, written))
        else:
            self._visit(node.func)
        if last in _CHANGES and isinstance(node.func, ast.Attribute):
            self._changed(node.func.value)
        elif written == "next" and node.args:
            self._changed(node.args[0])
        self._declared(node, written)
        self._statements += schema.of_call(node, written)
        is_query = last in _QUERIES
        for position, argument in enumerate(node.args):
            if not self._text(argument, is_given=is_query and position == 0):
                self._visit(argument)
        self._each(each.value for each in node.keywords)

    def _declared(self, node: ast.Call, written: str) -> None:
        """What a few calls say: a module, work in a transaction, a dynamic import."""
        last = written.rpartition(".")[2]
        if last == "Module" and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            self._declarations.append((written, imports.declaration(node, node.args[0].value)))
        elif last == "run" and written.split(".")[-2:-1] and written.split(".")[-2] in self._database_names and node.args:
            work = texts.dotted(node.args[0])
            nested = f"{self._scopes.function}.{work}"
            self._work[nested if nested in self._scopes.functions else work] = node.lineno
        elif last in {"import_module", "__import__"} and node.args:
            found = imports.dynamic(node, self._name, is_package=self._is_package, is_typing=self._is_typing)
            if found is None:
                self._unresolved.append(node.lineno)
            else:
                self._imports.append(found)

    def _visit_assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assigned(target, node.value)
        if not self._text(node.value):
            self._visit(node.value)

    def _visit_annotated(self, node: ast.AnnAssign) -> None:
        self._visit(node.annotation)
        self._assigned(node.target, node.value)
        if node.value is not None and not self._text(node.value):
            self._visit(node.value)

    def _visit_augmented(self, node: ast.AugAssign) -> None:
        self._changed(node.target)
        self._visit(node.value)

    def _visit_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self._changed(target)
        self._below(node)

    def _assigned(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name) and self._scopes.is_top:
            if kind := texts.mutable_kind(value):
                self._states.append(State(target.lineno, target.id, kind))
        elif isinstance(target, ast.Subscript):
            self._changed(target)
        self._visit(target)

    def _changed(self, target: ast.expr) -> None:
        """A function changes the value of a name that is not its own, or counts it up."""
        written = texts.dotted(texts.within(target))
        if not written or not self._scopes.function:
            return
        if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store) and not self._scopes.is_outer(written):
            self._scopes.bind(written)  # `x += 1` without `global` is the function's own
        else:
            self._scopes.say(Mutation(target.lineno, self._scopes.function, written))

    # Texts

    def _visit_operation(self, node: ast.BinOp) -> None:
        """In a loop: the sum of a thousand texts is a tree a thousand deep."""
        if self._text(node):
            return
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            self._visit(left.right)
            left = left.left
        self._visit(left)

    def _visit_raise(self, node: ast.Raise) -> None:
        """Its text is for people, whatever it looks like."""
        self._visit(node.cause)
        if not isinstance(node.exc, ast.Call):
            self._visit(node.exc)
            return
        self._visit(node.exc.func)
        given = [*node.exc.args, *(each.value for each in node.exc.keywords)]
        self._each(each for each in given if not isinstance(each, (ast.Constant, ast.JoinedStr)))

    def _text(self, node: ast.expr, *, is_given: bool = False) -> bool:
        """Whether it is a text; then its SQL is noted, and what its gaps hold is visited. is_given: to a method that runs it."""
        if isinstance(node, (ast.Name, ast.Attribute)):
            return False  # noted where it stands
        text = texts.text_of(node, self._texts)
        if text is None:
            return False
        if sql.looks_like_sql(text):
            uses, creates, problem = sql.tables(text)
            if uses or creates or (problem and is_given):
                self._statements.append(Statement(node.lineno, uses, creates, problem if is_given else ""))
        if not isinstance(node, ast.Constant):
            self._each(each for each in ast.walk(node) if isinstance(each, (ast.Attribute, ast.Call)) and _last(each) != "format")
        return True


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [each for each in (arguments.vararg, arguments.kwarg) if each is not None]


def _last(node: ast.expr) -> str:
    """`fetch` of `db.read().fetch`, and of a call of it."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
