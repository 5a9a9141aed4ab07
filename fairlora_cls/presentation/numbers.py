"""How a number is shown: the only place where one becomes text."""

from __future__ import annotations

from dataclasses import dataclass

UNDEFINED = "–"
MINUS = "−"

Limits = tuple[float, float]


class Quantity:
    """What is measured. Subclasses say `title` and `unit`, and this class shows their values.

    unit: `rate` (a fraction of examples, in percent), `points` (a difference between rates, in
    percentage points), `score` or `ratio` (three decimals)
    """

    title: str
    unit: str

    def show(self, value: float | None) -> str:
        """'53.5%', '3.8 points' or '0.812'; a dash for what is undefined."""
        if value is None:
            return UNDEFINED
        return self._number(value) + {"rate": "%", "points": " points"}.get(self.unit, "")

    def show_number(self, value: float | None) -> str:
        """The same without its unit."""
        return UNDEFINED if value is None else self._number(value)

    def show_gap(self, value: float | None) -> str:
        """The distance between two values: '3.8 points' between rates, '0.041' between scores."""
        return UNDEFINED if value is None else self._number(value) + self._distance_unit

    def show_signed(self, value: float | None) -> str:
        """A difference with its sign: '+3.8 points', '−0.012', '0.0 points'."""
        return UNDEFINED if value is None else self._signed(value) + self._distance_unit

    def show_range(self, limits: Limits | None, otherwise: str = "") -> str:
        """The ends of an interval without their unit: '51.1 to 55.8'."""
        if limits is None:
            return otherwise
        return " to ".join(map(self._number, limits))

    def show_signed_range(self, limits: Limits | None) -> str:
        """The ends of an interval of a difference, signed, without unit: '−6.1 to +2.0'."""
        return "" if limits is None else " to ".join(map(self._signed, limits))

    @property
    def is_in_points(self) -> bool:
        """Whether differences are stated in percentage points."""
        return self.unit in ("rate", "points")

    @property
    def _distance_unit(self) -> str:
        return " points" if self.is_in_points else ""

    def _number(self, value: float) -> str:
        text = f"{100 * value:.1f}" if self.is_in_points else f"{value:.3f}"
        return text.replace("-", MINUS)

    def _signed(self, value: float) -> str:
        text = f"{100 * value:+.1f}" if self.is_in_points else f"{value:+.3f}"
        return (text if float(text) else text[1:]).replace("-", MINUS)


@dataclass(frozen=True)
class PlainQuantity(Quantity):
    """One that stands in no table of metrics."""

    title: str
    unit: str


RATE = PlainQuantity("", "rate")
SCORE = PlainQuantity("", "score")
POINTS = PlainQuantity("", "points")


def show_count(count: int | None) -> str:
    """'1,234'."""
    return UNDEFINED if count is None else f"{count:,}"


def show_p_value(value: float | None) -> str:
    """'0.031', '0.12' or '< 0.001', for a column of p-values."""
    if value is None:
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def show_p(value: float | None) -> str:
    """'p = 0.031' or 'p < 0.001', for a sentence."""
    text = show_p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def show_duration(seconds: float) -> str:
    """'48 s', '12 min', '3 h 20 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
