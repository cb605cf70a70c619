"""Money as pages show it."""

from __future__ import annotations


def usd(amount: float | None) -> str:
    """2334.79 → "$2,335", 25.0 → "$25", 1.5 → "$1.50"; a dash where it is not known."""
    if amount is None:
        return "—"
    if amount >= 100 or amount == int(amount):
        return f"${amount:,.0f}"
    return f"${amount:,.2f}"
