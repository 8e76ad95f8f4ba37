"""The mutation corpus: pairs of programs whose `f` does another thing (CHANGES), and pairs where it does not (KEEPS).

A program is the text of `flow.py`; a line `#= name.py` begins another file beside it, and what lies in
`site-packages` is installed. Hashed by `code_worker`, judged by `test_mutations`; told to people in
docs/explanation/hashing.md.
"""

# ruff: noqa: E501 - a program is read better in one piece

from __future__ import annotations

LIBRARY = "import lib\ndef f(x):\n    return lib.do(x)\n#= site-packages/lib.py\ndef do(x): return {}\n"
INSTALLED = LIBRARY + "#= site-packages/lib-{}.dist-info/METADATA\nMetadata-Version: 2.1\nName: lib\nVersion: {}\n"

CHANGES: dict[str, tuple[str, str]] = {
    # what it says
    "a constant": ("def f(x):\n    return x + 1", "def f(x):\n    return x + 2"),
    "the type of a constant": ("def f(x):\n    return 1", "def f(x):\n    return 1.0"),
    "the sign of a zero": ("def f(x):\n    return 0.0", "def f(x):\n    return -0.0"),
    "a string that is no docstring": ("def f(x):\n    return 'a'", "def f(x):\n    return 'b'"),
    "a part of an f-string": ("def f(x):\n    return f'{x:.2f}'", "def f(x):\n    return f'{x:.3f}'"),
    "text and bytes": ("def f(x):\n    return 'a'", "def f(x):\n    return b'a'"),
    "an operator": ("def f(x):\n    return x + x", "def f(x):\n    return x - x"),
    "a comparison": ("def f(x):\n    return x < 3", "def f(x):\n    return x <= 3"),
    "the order of statements": (
        "def f(x):\n    x += 1\n    x *= 2\n    return x",
        "def f(x):\n    x *= 2\n    x += 1\n    return x",
    ),
    "an attribute": ("def f(x):\n    return x.min()", "def f(x):\n    return x.max()"),
    "a keyword of a call": ("def f(x):\n    return sorted(x)", "def f(x):\n    return sorted(x, reverse=True)"),
    "an argument's name": ("def f(*, x):\n    return 1", "def f(*, y):\n    return 1"),
    "an argument that became keyword-only": ("def f(x, y):\n    return x", "def f(x, *, y):\n    return x"),
    "sync and async": ("def f(x):\n    return x", "async def f(x):\n    return x"),
    "a return that became a yield": ("def f(x):\n    return x", "def f(x):\n    yield x"),
    "an exception that is caught": (
        "def f(x):\n    try: return x()\n    except KeyError: return 0",
        "def f(x):\n    try: return x()\n    except LookupError: return 0",
    ),
    "a constant in a nested function": (
        "def f(x):\n    def g(): return 1\n    return g()",
        "def f(x):\n    def g(): return 2\n    return g()",
    ),
    "a decorator in a nested function": (
        "import functools\ndef f(x):\n    def g(): return x\n    return g()",
        "import functools\ndef f(x):\n    @functools.cache\n    def g(): return x\n    return g()",
    ),
    "a constant in a comprehension": (
        "def f(x):\n    return [y for y in (1, 2)]",
        "def f(x):\n    return [y for y in (1, 3)]",
    ),
    "a lambda": ("f = lambda x: x + 1", "f = lambda x: x + 2"),
    "one of two lambdas on a line": (
        "f, g = (lambda x: x + 1), (lambda x: x)",
        "f, g = (lambda x: x + 2), (lambda x: x)",
    ),
    # names of builtins and globals
    "a builtin": ("def f(x):\n    return len(x)", "def f(x):\n    return max(x)"),
    "a global of another name": ("A = B = 1\ndef f(x):\n    return A", "A = B = 1\ndef f(x):\n    return B"),
    "a builtin that the module hides": ("def f(x):\n    return len(x)", "len = max\ndef f(x):\n    return len(x)"),
    "a standard function under the same name": (
        "from math import floor as part\ndef f(x):\n    return part(x)",
        "from math import ceil as part\ndef f(x):\n    return part(x)",
    ),
    "its own name, by which it calls itself": (
        "def f(n):\n    return n and f(n - 1)",
        "def g(n):\n    return n and f(n - 1)\nf = g",
    ),
    # values of globals
    "the value of a global": ("A = 1\ndef f(x):\n    return x + A", "A = 2\ndef f(x):\n    return x + A"),
    "the type of a global": ("A = 1\ndef f(x):\n    return x + A", "A = True\ndef f(x):\n    return x + A"),
    "what a global list holds": ("A = [1, [2]]\ndef f(x):\n    return A", "A = [1, [3]]\ndef f(x):\n    return A"),
    "a global that a nested function uses": (
        "A = 1\ndef f(x):\n    return [x + A for _ in x]",
        "A = 2\ndef f(x):\n    return [x + A for _ in x]",
    ),
    "a global object's attribute": (
        "from types import SimpleNamespace as S\nA = S(n=1)\ndef f(x):\n    return A.n",
        "from types import SimpleNamespace as S\nA = S(n=2)\ndef f(x):\n    return A.n",
    ),
    "a global pattern": (
        "import re\nA = re.compile('a')\ndef f(x):\n    return A.match(x)",
        "import re\nA = re.compile('b')\ndef f(x):\n    return A.match(x)",
    ),
    "a function in a global table": (
        "def g(): return 1\nTABLE = {'g': g}\ndef f():\n    return TABLE['g']()",
        "def g(): return 2\nTABLE = {'g': g}\ndef f():\n    return TABLE['g']()",
    ),
    # defaults and closures
    "a default": ("def f(x=1):\n    return x", "def f(x=2):\n    return x"),
    "the value behind a default": ("A = [1]\ndef f(x=A):\n    return x", "A = [2]\ndef f(x=A):\n    return x"),
    "a keyword's default": ("def f(*, x=1):\n    return x", "def f(*, x=2):\n    return x"),
    "a helper in a default": (
        "def g(): return 1\ndef f(x=g):\n    return x()",
        "def g(): return 2\ndef f(x=g):\n    return x()",
    ),
    "a closure": ("def m(n):\n    return lambda: n\nf = m(1)", "def m(n):\n    return lambda: n\nf = m(2)"),
    "a function in a closure": (
        "def m(g):\n    def h(): return g()\n    return h\ndef a(): return 1\nf = m(a)",
        "def m(g):\n    def h(): return g()\n    return h\ndef a(): return 2\nf = m(a)",
    ),
    "an argument bound by partial": (
        "import functools\nf = functools.partial(int, base=2)",
        "import functools\nf = functools.partial(int, base=3)",
    ),
    # decorators
    "a decorator that wraps it": (
        "def f(x):\n    return x",
        "def twice(g):\n    def h(x): return g(g(x))\n    return h\n@twice\ndef f(x):\n    return x",
    ),
    "what a decorator's wrapper does": (
        "def d(g):\n    def h(x): return g(x) + 1\n    return h\n@d\ndef f(x):\n    return x",
        "def d(g):\n    def h(x): return g(x) + 2\n    return h\n@d\ndef f(x):\n    return x",
    ),
    "what is below a decorator's wrapper": (
        "import functools\ndef d(g):\n    @functools.wraps(g)\n    def h(x): return g(x)\n    return h\n@d\ndef f(x):\n    return 1",
        "import functools\ndef d(g):\n    @functools.wraps(g)\n    def h(x): return g(x)\n    return h\n@d\ndef f(x):\n    return 2",
    ),
    "a decorator's argument": (
        "def d(n):\n    def e(g):\n        def h(x): return g(x) + n\n        return h\n    return e\n@d(1)\ndef f(x):\n    return x",
        "def d(n):\n    def e(g):\n        def h(x): return g(x) + n\n        return h\n    return e\n@d(2)\ndef f(x):\n    return x",
    ),
    "a decorator that is a class": (
        "class D:\n    def __init__(self, g): self.g = g\n    def __call__(self, x): return self.g(x)\n@D\ndef f(x):\n    return 1",
        "class D:\n    def __init__(self, g): self.g = g\n    def __call__(self, x): return self.g(x)\n@D\ndef f(x):\n    return 2",
    ),
    "a helper behind lru_cache": (
        "import functools\n@functools.lru_cache\ndef g(): return 1\ndef f():\n    return g()",
        "import functools\n@functools.lru_cache\ndef g(): return 2\ndef f():\n    return g()",
    ),
    "a helper behind contextmanager": (
        "from contextlib import contextmanager\n@contextmanager\ndef g():\n    yield 1\ndef f():\n    with g() as n: return n",
        "from contextlib import contextmanager\n@contextmanager\ndef g():\n    yield 2\ndef f():\n    with g() as n: return n",
    ),
    "a case of a single dispatch": (
        "from functools import singledispatch\n@singledispatch\ndef g(x): return 0\n@g.register\ndef _(x: int): return 1\n"
        "def f(x):\n    return g(x)",
        "from functools import singledispatch\n@singledispatch\ndef g(x): return 0\n@g.register\ndef _(x: int): return 2\n"
        "def f(x):\n    return g(x)",
    ),
    "an attribute of a function": ("def f():\n    return f.n\nf.n = 1", "def f():\n    return f.n\nf.n = 2"),
    # helpers
    "a helper": ("def g(): return 1\ndef f():\n    return g()", "def g(): return 2\ndef f():\n    return g()"),
    "a helper's helper": (
        "def h(): return 1\ndef g(): return h()\ndef f():\n    return g()",
        "def h(): return 2\ndef g(): return h()\ndef f():\n    return g()",
    ),
    "a helper that calls back": (
        "def g(n): return f(n - 1) + 1\ndef f(n):\n    return n and g(n)",
        "def g(n): return f(n - 1) + 2\ndef f(n):\n    return n and g(n)",
    ),
    "a helper's default": (
        "def g(n=1): return n\ndef f():\n    return g()",
        "def g(n=2): return n\ndef f():\n    return g()",
    ),
    "a global of a helper": (
        "A = 1\ndef g(): return A\ndef f():\n    return g()",
        "A = 2\ndef g(): return A\ndef f():\n    return g()",
    ),
    # classes
    "a method of a class it uses": (
        "class C:\n    def g(self): return 1\ndef f():\n    return C().g()",
        "class C:\n    def g(self): return 2\ndef f():\n    return C().g()",
    ),
    "an attribute of a class it uses": (
        "class C:\n    a = 1\ndef f():\n    return C.a",
        "class C:\n    a = 2\ndef f():\n    return C.a",
    ),
    "a class attribute's value, computed from a global": (
        "from collections import deque\nA = [1]\nclass C:\n    a = deque(A)\ndef f():\n    return C.a",
        "from collections import deque\nA = [2]\nclass C:\n    a = deque(A)\ndef f():\n    return C.a",
    ),
    "a class attribute's value, computed from an argument": (
        "from collections import deque\ndef make(n):\n    class C:\n        a = deque([n])\n    return C\nC = make(1)\ndef f():\n    return C.a",
        "from collections import deque\ndef make(n):\n    class C:\n        a = deque([n])\n    return C\nC = make(2)\ndef f():\n    return C.a",
    ),
    "a class method that is an object, of a class that a function made": (
        "class D:\n    def __init__(self, g): self.g = g\n    def __call__(self, k): return self.g(k)\n"
        "def make(n):\n    class C:\n        g = classmethod(D(lambda k: n))\n    return C\nC = make(1)\ndef f():\n    return C.g()",
        "class D:\n    def __init__(self, g): self.g = g\n    def __call__(self, k): return self.g(k)\n"
        "def make(n):\n    class C:\n        g = classmethod(D(lambda k: n))\n    return C\nC = make(2)\ndef f():\n    return C.g()",
    ),
    "a base class": (
        "class B:\n    def g(self): return 1\nclass C(B): pass\ndef f():\n    return C()",
        "class B:\n    def g(self): return 2\nclass C(B): pass\ndef f():\n    return C()",
    ),
    "the bases of a class": (
        "class A: pass\nclass B: pass\nclass C(A, B): pass\ndef f():\n    return C()",
        "class A: pass\nclass B: pass\nclass C(B, A): pass\ndef f():\n    return C()",
    ),
    "a global that a property uses": (
        "A = 1\nclass C:\n    @property\n    def g(self): return A\ndef f():\n    return C()",
        "A = 2\nclass C:\n    @property\n    def g(self): return A\ndef f():\n    return C()",
    ),
    "a static method": (
        "class C:\n    @staticmethod\n    def g(): return 1\ndef f():\n    return C.g()",
        "class C:\n    @staticmethod\n    def g(): return 2\ndef f():\n    return C.g()",
    ),
    "a global that a method behind an own descriptor uses": (
        "A = 1\nclass D:\n    def __init__(self, g): self.g = g\n    def __get__(self, o, k): return self.g(o)\n"
        "class C:\n    @D\n    def g(self): return A\ndef f():\n    return C().g",
        "A = 2\nclass D:\n    def __init__(self, g): self.g = g\n    def __get__(self, o, k): return self.g(o)\n"
        "class C:\n    @D\n    def g(self): return A\ndef f():\n    return C().g",
    ),
    "a method of an inner class": (
        "A = 1\nclass C:\n    class D:\n        def g(self): return A\ndef f():\n    return C.D()",
        "A = 2\nclass C:\n    class D:\n        def g(self): return A\ndef f():\n    return C.D()",
    ),
    "a field of a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    a: int = 1\ndef f():\n    return C()",
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    a: int = 2\ndef f():\n    return C()",
    ),
    "a factory of a dataclass": (
        "from dataclasses import dataclass, field\ndef g(): return 1\n@dataclass\nclass C:\n    a: int = field(default_factory=g)\n"
        "def f():\n    return C()",
        "from dataclasses import dataclass, field\ndef g(): return 2\n@dataclass\nclass C:\n    a: int = field(default_factory=g)\n"
        "def f():\n    return C()",
    ),
    "a member of an enum": (
        "from enum import Enum\nclass C(Enum):\n    A = 1\n    B = 2\ndef f():\n    return list(C)",
        "from enum import Enum\nclass C(Enum):\n    A = 1\n    B = 3\ndef f():\n    return list(C)",
    ),
    "a method of an enum": (
        "from enum import Enum\nclass C(Enum):\n    A = 1\n    def g(self): return 1\ndef f():\n    return C.A.g()",
        "from enum import Enum\nclass C(Enum):\n    A = 1\n    def g(self): return 2\ndef f():\n    return C.A.g()",
    ),
    "a method of the enum of a global member": (
        "from enum import Enum\nclass C(Enum):\n    A = 1\n    def g(self): return 1\nMODE = C.A\ndef f():\n    return MODE.g()",
        "from enum import Enum\nclass C(Enum):\n    A = 1\n    def g(self): return 2\nMODE = C.A\ndef f():\n    return MODE.g()",
    ),
    "a method of a NamedTuple": (
        "from typing import NamedTuple\nclass C(NamedTuple):\n    a: int\n    def g(self): return 1\ndef f():\n    return C(1).g()",
        "from typing import NamedTuple\nclass C(NamedTuple):\n    a: int\n    def g(self): return 2\ndef f():\n    return C(1).g()",
    ),
    "a class decorator's argument": (
        "A = 1\ndef d(n):\n    def e(k):\n        k.n = property(lambda self: n)\n        return k\n    return e\n@d(A)\nclass C: pass\n"
        "def f():\n    return C().n",
        "A = 2\ndef d(n):\n    def e(k):\n        k.n = property(lambda self: n)\n        return k\n    return e\n@d(A)\nclass C: pass\n"
        "def f():\n    return C().n",
    ),
    "the class of an object whose method it is": (
        "class C:\n    def g(self, x): return x\nf = C().g",
        "class C:\n    def g(self, x): return -x\nf = C().g",
    ),
    # modules
    "a function of an own module": (
        "import tools\ndef f():\n    return tools.g()\n#= tools.py\ndef g(): return 1\n",
        "import tools\ndef f():\n    return tools.g()\n#= tools.py\ndef g(): return 2\n",
    ),
    "a value of a module in an own package": (
        "import pkg.tools\ndef f():\n    return pkg.tools.A\n#= pkg/__init__.py\n#= pkg/tools.py\nA = 1\n",
        "import pkg.tools\ndef f():\n    return pkg.tools.A\n#= pkg/__init__.py\n#= pkg/tools.py\nA = 2\n",
    ),
    "a name imported from an own module": (
        "from tools import g\ndef f():\n    return g()\n#= tools.py\nA = 1\ndef g(): return A\n",
        "from tools import g\ndef f():\n    return g()\n#= tools.py\nA = 2\ndef g(): return A\n",
    ),
    "an own module imported inside": (
        "def f():\n    import tools\n    return tools.g()\n#= tools.py\ndef g(): return 1\n",
        "def f():\n    import tools\n    return tools.g()\n#= tools.py\ndef g(): return 2\n",
    ),
    "an own module behind one imported inside": (
        "def f():\n    import front\n    return front.g()\n#= front.py\nfrom tools import g\n#= tools.py\ndef g(): return 1\n",
        "def f():\n    import front\n    return front.g()\n#= front.py\nfrom tools import g\n#= tools.py\ndef g(): return 2\n",
    ),
    "an own module as a value": (
        "import tools\ndef f(name):\n    return getattr(tools, name)\n#= tools.py\nA = 1\n",
        "import tools\ndef f(name):\n    return getattr(tools, name)\n#= tools.py\nA = 2\n",
    ),
    "the package around a module imported inside": (
        "def f():\n    from pkg import tools\n    return tools.A\n#= pkg/__init__.py\nN = 1\n#= pkg/tools.py\nfrom pkg import N as A\n",
        "def f():\n    from pkg import tools\n    return tools.A\n#= pkg/__init__.py\nN = 2\n#= pkg/tools.py\nfrom pkg import N as A\n",
    ),
    "an own module behind another one": (
        "import front\ndef f():\n    return front.g()\n#= front.py\nfrom tools import g\n#= tools.py\ndef g(): return 1\n",
        "import front\ndef f():\n    return front.g()\n#= front.py\nfrom tools import g\n#= tools.py\ndef g(): return 2\n",
    ),
    "a module imported from a package inside": (
        "def f():\n    from pkg import tools\n    return tools.A\n#= pkg/__init__.py\n#= pkg/tools.py\nA = 1\n",
        "def f():\n    from pkg import tools\n    return tools.A\n#= pkg/__init__.py\n#= pkg/tools.py\nA = 2\n",
    ),
    "the version of an installed package": (INSTALLED.format(1, "1.0", "1.0"), INSTALLED.format(1, "1.1", "1.1")),
    "which function of an installed package": (
        INSTALLED.format(1, "1.0", "1.0"),
        INSTALLED.format(1, "1.0", "1.0").replace("lib.do(x)", "lib.undo(x)"),
    ),
}

KEEPS: dict[str, tuple[str, str]] = {
    # layout
    "a comment": ("def f(x):\n    return x + 1", "# c\ndef f(x):\n    # why\n    return x + 1  # so\n"),
    "blank lines": ("def f(x):\n    y = x\n    return y", "def f(x):\n\n    y = x\n\n\n    return y\n"),
    "indentation": ("def f(x):\n    return x", "def f(x):\n\t\treturn x"),
    "brackets and line breaks": (
        "def f(x):\n    return x + 1",
        "def f(x):\n    return (\n        x\n        + 1\n    )",
    ),
    "quotes": ("def f(x):\n    return 'a'", 'def f(x):\n    return "a"'),
    "how a number is written": ("def f(x):\n    return 1000", "def f(x):\n    return 0x3e8"),
    "how a string is put together": ("def f(x):\n    return 'ab'", "def f(x):\n    return 'a' 'b'"),
    "a comma at the end": (
        "def f(x):\n    return g(x)\ndef g(x): return x",
        "def f(x,):\n    return g(x,)\ndef g(x): return x",
    ),
    "where it stands": ("def f(x):\n    return x", "unused = 1\n\n\ndef f(x):\n    return x"),
    "where a class stands": (
        "class C:\n    def g(self): return 1\ndef f():\n    return C()",
        "# moved\n\n\n\nclass C:\n    def g(self): return 1\ndef f():\n    return C()",
    ),
    # docstrings
    "its docstring": ("def f(x):\n    return x", "def f(x):\n    'text'\n    return x"),
    "another docstring": ("def f(x):\n    'one'\n    return x", "def f(x):\n    'two'\n    return x"),
    "a helper's docstring": (
        "def g(): return 1\ndef f():\n    return g()",
        "def g():\n    'text'\n    return 1\ndef f():\n    return g()",
    ),
    "a class's docstring": (
        "class C:\n    a = 1\ndef f():\n    return C.a",
        "class C:\n    'text'\n    a = 1\ndef f():\n    return C.a",
    ),
    "a module's docstring": (
        "def f():\n    import tools\n    return tools.g()\n#= tools.py\ndef g(): return 1\n",
        "def f():\n    import tools\n    return tools.g()\n#= tools.py\n'''text'''\ndef g():\n    return 1  # c\n",
    ),
    # what it does not use
    "a global it does not use": ("A = 1\ndef f(x):\n    return x", "A = 2\ndef f(x):\n    return x"),
    "a helper it does not use": (
        "def g(): return 1\ndef f(x):\n    return x",
        "def g(): return 2\ndef f(x):\n    return x",
    ),
    "a class it does not use": (
        "class C: a = 1\ndef f(x):\n    return x",
        "class C: a = 2\ndef f(x):\n    return x",
    ),
    "a global that has the name of an attribute": (
        "A = 1\ndef f(x):\n    return x.A",
        "A = 2\ndef f(x):\n    return x.A",
    ),
    "a global that has the name of a local": (
        "A = 1\ndef f(x):\n    A = x\n    return A",
        "A = 2\ndef f(x):\n    A = x\n    return A",
    ),
    "a global that has the name of a method's local": (
        "A = 1\nclass C:\n    def g(self):\n        A = 3\n        return A\ndef f():\n    return C()",
        "A = 2\nclass C:\n    def g(self):\n        A = 3\n        return A\ndef f():\n    return C()",
    ),
    "a global that has the name of a class attribute": (
        "A = 1\nclass C:\n    A = 3\ndef f():\n    return C.A",
        "A = 2\nclass C:\n    A = 3\ndef f():\n    return C.A",
    ),
    "another function of an own module": (
        "import tools\ndef f():\n    return tools.g()\n#= tools.py\ndef g(): return 1\ndef h(): return 1\n",
        "import tools\ndef f():\n    return tools.g()\n#= tools.py\ndef g(): return 1\ndef h(): return 2\n",
    ),
    "an own module it does not use": (
        "import tools\ndef f():\n    return 1\n#= tools.py\nA = 1\n",
        "import tools\ndef f():\n    return 1\n#= tools.py\nA = 2\n",
    ),
    "the order of imports": (
        "import json\nimport math\ndef f(x):\n    return math.floor(json.loads(x))",
        "import math\nimport json\ndef f(x):\n    return math.floor(json.loads(x))",
    ),
    "what an installed package of the same version says": (
        INSTALLED.format(1, "1.0", "1.0"),
        INSTALLED.format(2, "1.0", "1.0"),
    ),
    # values
    "the order of a global dict": (
        "A = {'a': 1, 'b': 2}\ndef f(x):\n    return A",
        "A = {'b': 2, 'a': 1}\ndef f(x):\n    return A",
    ),
    "how a global was computed": ("A = 4\ndef f(x):\n    return A", "A = 2 + 2\ndef f(x):\n    return A"),
    "a decorator that returns the function itself": (
        "def d(g): return g\ndef f(x):\n    return x",
        "def d(g): return g\n@d\ndef f(x):\n    return x",
    ),
}
