"""Writes vectors.tsv: expressions and what calc must answer, by Python's own decimal module.

    python3 vectors.py > vectors.tsv
"""

import random
from decimal import Context, Decimal, Inexact, ROUND_HALF_EVEN, localcontext

EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN, Emin=-10000, Emax=10000, traps=[Inexact])
WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN, Emin=-10000, Emax=10000)
SHOWN = Context(prec=34, rounding=ROUND_HALF_EVEN, Emin=-10000, Emax=10000)
random.seed(20261124)


def plain(number):
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def rounded(number):
    return plain(SHOWN.plus(number)) + " (rounded to 34 significant digits)"


def quotient(a, b):
    try:
        return plain(EXACT.divide(a, b))
    except Inexact:
        return rounded(SHOWN.divide(a, b))


def number(digits=12, places=6):
    whole = random.randint(0, 10 ** random.randint(1, digits))
    return Decimal(whole).scaleb(-random.randint(0, places))


def sine(x):
    with localcontext(WIDE):
        term, total, n = x, x, 1
        while abs(term) > Decimal(10) ** -75:
            term = -term * x * x / ((n + 1) * (n + 2))
            total += term
            n += 2
        return +total


def main():
    rows = []
    for _ in range(60):
        a, b = number(), number()
        rows.append((f"{a:f} + {b:f}", plain(EXACT.add(a, b))))
        rows.append((f"{a:f} - {b:f}", plain(EXACT.subtract(a, b))))
        rows.append((f"{a:f} * {b:f}", plain(EXACT.multiply(a, b))))
        if b:
            rows.append((f"{a:f} / {b:f}", quotient(a, b)))
    for _ in range(60):
        a, p = number(8, 2), number(3, 2)
        part = EXACT.multiply(a, p).scaleb(-2)
        rows.append((f"{p:f}% of {a:f}", plain(part)))
        rows.append((f"{p:f}% * {a:f}", plain(part)))
        rows.append((f"{a:f} + {p:f}%", plain(EXACT.add(a, part))))
        rows.append((f"{a:f} - {p:f}%", plain(EXACT.subtract(a, part))))
    for _ in range(40):
        a, n = number(4, 2), random.randint(2, 20)
        rows.append((f"({a:f})^{n}", plain(EXACT.power(a, n))))
    for _ in range(40):
        a = number(14, 6) + 1
        rows.append((f"sqrt({a:f})", root(a)))
        rows.append((f"ln({a:f})", rounded(WIDE.ln(a))))
        if a != 10 ** a.adjusted():
            rows.append((f"log10({a:f})", rounded(WIDE.log10(a))))
        x = Decimal(random.randint(1, 10**6)).scaleb(-5)
        rows.append((f"exp({x:f})", rounded(WIDE.exp(x))))
        rows.append((f"sin({x:f})", rounded(sine(x))))
    seen = set()
    for expression, result in rows:
        if expression not in seen and "e" not in plain_size(result):
            seen.add(expression)
            print(f"{expression}\t{result}")


def root(a):
    found = WIDE.sqrt(a)
    return plain(found) if EXACT.multiply(found, found) == a else rounded(found)


def plain_size(result):
    """Results that calc writes with an exponent are left out: `e` marks them here."""
    digits = result.split(" ")[0].lstrip("-")
    return "e" if digits.startswith("0." + "0" * 30) or ("rounded" in result and len(digits.split(".")[0]) > 34) else ""


if __name__ == "__main__":
    main()
