"""How facts look in lists and on pages: numbers as people write them, times, countries, keys. No queries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import phonenumbers
from django import forms
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelect2MultipleWidget, UnfoldAdminSelect2Widget

from accounts import countries

FEW = 4
E164 = re.compile(r"\+[1-9]\d{6,14}\b")


def as_people_write(e164: str) -> str:
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def with_numbers_written(text: str) -> str:
    """A sentence that names numbers as programs do, with the numbers as people write them."""
    return E164.sub(lambda found: as_people_write(found[0]), text)


def searched_digits(term: str) -> str:
    """The digits of a number that somebody looks for, however it is written; empty when it is a word."""
    if any(letter.isalpha() for letter in term):
        return ""
    # A leading 0 is dialled within a country and is no part of the international form.
    return "".join(letter for letter in term if letter.isdecimal()).lstrip("0")


def phone_facts(e164: str, href: str = "") -> dict[str, str]:
    """What components/_phone_number.html shows."""
    try:
        code = phonenumbers.region_code_for_number(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        code = None
    facts = {"display": as_people_write(e164), "e164": e164, "href": href}
    if code in countries.NAMES:
        facts |= {"flag": countries.flag(code), "country": countries.name_of(code)}
    return facts


def country_facts(codes: Iterable[str]) -> list[dict[str, str]]:
    """What components/_country_chips.html shows, in the order of their names."""
    facts = [{"code": code, "name": countries.name_of(code), "flag": countries.flag(code)} for code in codes]
    return sorted(facts, key=lambda country: country["name"])


def countries_cell(codes: Iterable[str] | None) -> SafeString:
    """How many countries, with the first flags; all of their names on hover."""
    if codes is None:
        return format_html('<span class="fc-every">{}</span>', "Every country")
    shown = country_facts(codes)
    flags = " ".join(country["flag"] for country in shown[:FEW])
    return format_html(
        '<span class="fc-nowrap" data-tip="{}"><span class="fc-tabular">{}</span> '
        '<span class="fc-flag" aria-hidden="true">{}</span>{}</span>',
        ", ".join(country["name"] for country in shown),
        len(shown),
        flags,
        " …" if len(shown) > FEW else "",
    )


def panel_url(name: str, *arguments: object) -> str:
    """A panel that another room serves; empty where that is not installed."""
    try:
        return reverse(f"monitoring:panel-{name}", args=arguments)
    except NoReverseMatch:
        return ""


def phone_cell(e164: str) -> SafeString:
    """A number within a list's link: without the button that copies it."""
    facts = phone_facts(e164)
    return format_html(
        '<span class="fc-phone" data-tip="{}"><span class="fc-flag" aria-hidden="true">{}</span>'
        '<span class="fc-phone__number">{}</span></span>',
        e164,
        facts.get("flag", ""),
        facts["display"],
    )


def time_cell(at: datetime | None) -> str:
    return render_to_string("components/_time.html", {"at": at})


def badge(text: str, tone: str = "", tip: str = "") -> SafeString:
    """A word in a frame; `tone` is one of the states of components/_state_badge.html, for its colour alone."""
    return format_html(
        '<span class="fc-badge fc-badge-plain fc-state-{}" data-tip="{}">{}</span>', tone or "none", tip, text
    )


def country_choices(*, without_sanctioned: bool = False) -> list[tuple[str, str]]:
    codes = sorted(countries.CODES, key=countries.name_of)
    return [
        (code, f"{countries.flag(code)} {countries.name_of(code)}")
        for code in codes
        if not (without_sanctioned and countries.is_sanctioned(code))
    ]


class CountryField(forms.ChoiceField):
    def __init__(self, **options: Any) -> None:
        choices = country_choices()
        if not options.get("required", True):
            choices = [("", "—"), *choices]
        super().__init__(choices=choices, widget=UnfoldAdminSelect2Widget(), **options)


class CountriesField(forms.MultipleChoiceField):
    def __init__(self, *, without_sanctioned: bool = False, with_stateless: bool = False, **options: Any) -> None:
        choices = country_choices(without_sanctioned=without_sanctioned)
        if with_stateless:
            choices.append((countries.STATELESS, countries.name_of(countries.STATELESS)))
        super().__init__(choices=choices, widget=UnfoldAdminSelect2MultipleWidget(), **options)

    def prepare_value(self, value: Any) -> list[str]:
        """A model's countries are objects; the choices are codes."""
        return [getattr(country, "code", country) for country in value or ()]
