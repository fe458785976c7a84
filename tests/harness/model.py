"""The arithmetic of progress once more, in fractions and from the domain's own words: what the service's figures must equal."""
import calendar
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction


def rounded(x, places):
    """Half away from zero, as a Decimal; None stays None."""
    if x is None:
        return None
    exact = Fraction(x)
    step = Decimal(1).scaleb(-places)
    scaled = abs(exact) * 10 ** places
    whole = int(scaled + Fraction(1, 2))
    return (Decimal(whole) * step * (1 if exact >= 0 else -1)).quantize(step, ROUND_HALF_UP)


def same(answered, expected, places):
    """A number of an answer against an exact one."""
    if answered is None or expected is None:
        return answered is None and expected is None
    return Decimal(answered) == rounded(expected, places)


def quarter(code):
    year, q = int(code[:4]), int(code[-1])
    last = 3 * q
    return date(year, last - 2, 1), date(year, last, calendar.monthrange(year, last)[1])


def aggregate(rule, reports):
    """(value, numerator, denominator) of reports: (numerator, denominator), a number, or whether it is done."""
    if not reports:
        return None, None, None
    if rule == "ratio_of_sums":
        n, d = sum(Fraction(r[0]) for r in reports), sum(Fraction(r[1]) for r in reports)
        return (100 * n / d if d else None), n, d
    if rule == "count_done":
        return Fraction(sum(1 for r in reports if r)), None, None
    numbers = [Fraction(r) for r in reports]
    return {"sum": sum(numbers), "min": min(numbers), "max": max(numbers), "average": sum(numbers) / len(numbers)}[rule], None, None


def coverage(expected, reporting, not_applicable):
    owed = expected - not_applicable
    return {"expected": expected, "reporting": reporting, "not_applicable": not_applicable,
            "missing": expected - reporting - not_applicable, "rate": Fraction(reporting, owed) if owed else None}


def judge(value, target, period_end, today, direction="increase"):
    """(achievement, required, pace, status) of a figure against a ge or le target: baseline, value, starts_on, due_on."""
    t, b = Fraction(target["value"]), target.get("baseline")
    b = None if b is None else Fraction(b)
    t0, due = target["starts_on"], target["due_on"]
    share = Fraction(1) if period_end >= due else Fraction((period_end - t0).days, (due - t0).days) if period_end > t0 else None
    if b is not None:
        required = b + (t - b) * share
    else:
        required = t * share if direction == "increase" else t / share
    if value is None:
        return None, required, None, "no_data"
    if b is not None:
        way = (value - b) / (t - b)
    else:
        way = value / t if direction == "increase" else t / value
    pace = way / share
    met = value >= t if target["comparator"] == "ge" else value <= t
    away = None if b is None else (b - value if direction == "increase" else value - b)
    if met:
        status = "achieved"
    elif due <= period_end and due < today:
        status = "missed"
    elif away is not None and away >= 2:
        status = "deteriorating"
    elif pace >= Fraction(95, 100):
        status = "on_track"
    elif pace >= Fraction(60, 100):
        status = "at_risk"
    else:
        status = "off_track"
    return way, required, pace, status
