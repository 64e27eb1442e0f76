# Runs the code of a call and says last whether that went well: O or E. It runs in MicroPython.
import gc, io, os, sys


class Gc:
    """In place of the module gc. What collects garbage does not see what only WebAssembly's own stack
    holds, and would free it; a call has memory enough without."""

    collect = staticmethod(lambda: 0)
    disable = enable = staticmethod(lambda: None)
    isenabled = staticmethod(lambda: False)
    mem_alloc, mem_free = staticmethod(gc.mem_alloc), staticmethod(gc.mem_free)


gc.disable()
sys.modules["gc"] = Gc

# Lines of a long traceback that are shown at its beginning and its end.
HEAD, TAIL = 4, 6


def split(code):
    """The code without its last expression, and that, where it ends with one."""
    lines = code.rstrip().split("\n")
    # An expression may go over lines that look like the beginning of one themselves.
    for at in range(len(lines) - 1, max(-1, len(lines) - 200), -1):
        if not lines[at].strip() or lines[at][0] in " \t#)]}":
            continue
        try:
            # Empty lines, so that errors name the right one.
            last = compile("(" + "\n" * at + "\n".join(lines[at:]) + "\n)", "<code>", "eval")
            return compile("\n".join(lines[:at]), "<code>", "exec"), last
        except SyntaxError:
            continue
    return compile(code, "<code>", "exec"), None


def shown(value):
    """The value as it is written; MicroPython itself escapes all letters but those of English."""
    if isinstance(value, str) and all(ord(one) >= 32 and one not in "'\\\x7f" for one in value):
        return "'%s'" % value
    return repr(value)


def run():
    code = os.getenv("C")
    # What is wrong with the whole is told, and not what is wrong with a part.
    compile(code, "<code>", "exec")
    first, last = split(code)
    names = {"__name__": "__main__"}
    exec(first, names)
    if last is not None:
        value = eval(last, names)
        if value is not None:
            print(shown(value))


def told(error):
    out = io.StringIO()
    sys.print_exception(error, out)
    lines = [line for line in out.getvalue().rstrip().split("\n") if '"<stdin>"' not in line]
    if len(lines) > HEAD + TAIL:
        lines[HEAD:-TAIL] = ["  (%d lines more)" % (len(lines) - HEAD - TAIL)]
    print("\n".join(lines))


end = "O"
try:
    run()
except SystemExit as error:
    if error.args and error.args[0] not in (None, 0):
        print("SystemExit:", error.args[0])
        end = "E"
except BaseException as error:
    end = "E"
    try:
        told(error)
    except MemoryError:
        print("MemoryError: the memory of the call is used up")
print(end=end)
