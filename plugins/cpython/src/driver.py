# Runs the code of a call and hands back what came of it. It runs in CPython, as the code of a turn.


def _call():
    import ast
    import io
    import logging
    import os
    import struct
    import sys
    import traceback
    import warnings

    import _host

    # Characters of what is printed, and of an error, of which the rest is left out.
    most, longest = 40_000, 280
    code = _host.call(b"").decode()
    out = io.StringIO()
    names = {"__name__": "__main__"}
    os.environ.update(MPLBACKEND="agg", MPLCONFIGDIR="/usr/local/lib", HOME="/usr/local/lib")
    warnings.filterwarnings("ignore", message=".*non-interactive.*")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)

    def run():
        tree = ast.parse(code, "<code>")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<code>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<code>", "eval"), names)
            if value is not None:
                print(repr(value))

    def told(error):
        # Where in the code it was, and what: there is not room for where in the libraries.
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<code>"]
        if frames:
            print("Traceback (most recent call last):")
        for frame in frames[:2] + frames[2:][-2:]:
            print(f'  File "<code>", line {frame.lineno}, in {frame.name}')
        what = "".join(traceback.format_exception_only(error)).rstrip()
        print(what if len(what) <= longest else f"{what[:longest]}…")

    def pictures():
        plots = sys.modules.get("matplotlib.pyplot")
        for number in plots.get_fignums() if plots else []:
            figure = plots.figure(number)
            png = io.BytesIO()
            figure.savefig(png, format="png")
            titles = [figure.get_suptitle()] + [axes.get_title() for axes in figure.axes]
            yield png.getvalue(), next((title for title in titles if title), f"figure {number}")

    def packed(failed, text, images):
        # As the component model lays out `result<output, string>`, with addresses from here on.
        fixed = 20 + 24 * len(images)
        parts = [text.encode(errors="replace")]
        for png, title in images:
            parts += [b"image/png", png, title.encode(errors="replace")]
        spans, at = [], fixed
        for part in parts:
            spans.append((at, len(part)))
            at += len(part)
        rest = [] if failed else [20, len(images)]
        front = struct.pack("<3I", failed, *spans[0]) + struct.pack(f"<{len(rest)}I", *rest)
        front = front.ljust(20, b"\0") + b"".join(struct.pack("<2I", *span) for span in spans[1:])
        return front + b"".join(parts)

    failed, images = False, []
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = out
    try:
        try:
            run()
        except SystemExit as error:
            if error.code not in (None, 0):
                print("SystemExit:", error.code)
                failed = True
        images = [] if failed else list(pictures())
    except BaseException as error:
        failed = True
        told(error)
    finally:
        sys.stdout, sys.stderr = before
    text = out.getvalue().removesuffix("\n")
    if len(text) > most:
        text = f"{text[:most]}\n[cut: {len(text)} characters were printed, these are the first {most}]"
    _host.call(packed(failed, text, images))


_call()
