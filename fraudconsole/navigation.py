"""The console's frame: name, colours, side bar. Named in the settings, so it imports no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

Item = tuple[str, str, str, str, str]
"""Title, icon, name of the address, query, right that one needs to see it."""

GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    ("", (("Home", "home", "admin:index", "", ""),)),
    (
        "Watch",
        (
            (
                "Blocked calls",
                "block",
                "admin:monitoring_blockedcall_changelist",
                "",
                "monitoring.view_blockedcall",
            ),
            ("All decisions", "fact_check", "admin:policies_decision_changelist", "", "policies.view_decision"),
            ("Calls", "call", "admin:monitoring_call_changelist", "", "monitoring.view_call"),
            ("Events", "inbox", "admin:monitoring_webhookevent_changelist", "", "monitoring.view_webhookevent"),
            (
                "Alerts",
                "notifications",
                "admin:monitoring_alert_changelist",
                "",
                "monitoring.view_alert",
            ),
            ("Digests", "summarize", "admin:monitoring_digest_changelist", "", "monitoring.view_digest"),
            ("Ungated traffic", "key_off", "ungated-page", "", "monitoring.view_call"),
            ("Agents", "smart_toy", "admin:monitoring_agentseen_changelist", "", "monitoring.view_agentseen"),
            ("Exposure", "local_fire_department", "exposure-page", "", "policies.view_countrypolicy"),
            ("Test a call", "science", "admin:policies_decision_test_call", "", "policies.view_decision"),
        ),
    ),
    (
        "Policy",
        (
            ("Phone numbers", "dialpad", "admin:policies_phonenumber_changelist", "", "policies.view_phonenumber"),
            (
                "Country policies",
                "public",
                "admin:policies_countrypolicy_changelist",
                "",
                "policies.view_countrypolicy",
            ),
            ("Sync", "sync", "admin:policies_synctarget_changelist", "", "policies.view_synctarget"),
            ("Holds", "front_hand", "admin:policies_hold_changelist", "", "policies.view_hold"),
            ("Opens", "lock_open", "admin:policies_open_changelist", "", "policies.view_open"),
            (
                "Approvals",
                "how_to_reg",
                "admin:policies_proposedchange_changelist",
                "",
                "policies.view_proposedchange",
            ),
            ("Trusted", "verified_user", "admin:policies_trusted_changelist", "", "policies.view_trusted"),
            (
                "Blocked callers",
                "phone_disabled",
                "admin:policies_blockedcaller_changelist",
                "",
                "policies.view_blockedcaller",
            ),
            ("Public keys", "vpn_key", "admin:accounts_publickey_changelist", "", "accounts.view_publickey"),
        ),
    ),
    (
        "KYC",
        (
            ("KYC records", "badge", "admin:accounts_kycrecord_changelist", "", "accounts.view_kycrecord"),
            ("Subjects", "person_search", "admin:accounts_subject_changelist", "", "accounts.view_subject"),
        ),
    ),
    (
        "Workspace",
        (
            ("UponAI", "link", "admin:policies_uponaiconnection_changelist", "", "policies.view_uponaiconnection"),
            ("Relays", "forward", "admin:monitoring_relay_changelist", "", "monitoring.view_relay"),
            ("Settings", "tune", "admin:accounts_workspace_changelist", "", "accounts.view_workspace"),
            ("Members", "group", "admin:accounts_membership_changelist", "", "accounts.view_membership"),
            ("API tokens", "token", "admin:accounts_apitoken_changelist", "", "accounts.view_apitoken"),
            ("Audit log", "history", "admin:accounts_auditentry_changelist", "", "accounts.view_auditentry"),
            ("API documentation", "api", "docs", "", "accounts.view_workspace"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups with what this person may see; a group without any is left out."""
    groups = []
    for title, items in GROUPS:
        links = [_link(request, *item) for item in items if _may_see(request, item[-1])]
        if links:
            groups.append({"title": title, "items": _one_active(request, links)})
    return groups


def _may_see(request: HttpRequest, right: str) -> bool:
    return not right or request.user.has_perm(right)


def _link(request: HttpRequest, title: str, icon: str, name: str, query: str, right: str) -> dict[str, Any]:
    address = reverse(name)
    return {"title": title, "icon": icon, "link": f"{address}?{query}" if query else address}


def _one_active(request: HttpRequest, links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Marks the entry one is at: of two at the same address the one whose query is in force."""
    here = [link for link in links if _is_here(request, link["link"])]
    exact = [link for link in here if _query_in_force(request, link["link"])]
    active = max(exact or here, key=lambda link: len(link["link"]), default=None)
    return [link | {"active": link is active} for link in links]


def _is_here(request: HttpRequest, address: str) -> bool:
    path = urlsplit(address).path
    return request.path == path if path == reverse("admin:index") else request.path.startswith(path)


def _query_in_force(request: HttpRequest, address: str) -> bool:
    return all(request.GET.get(name) == value for name, value in parse_qsl(urlsplit(address).query))


def workspace_name(request: HttpRequest) -> str | None:
    workspace = getattr(request, "workspace", None)
    return workspace.name if workspace else None


def workspace_choices(request: HttpRequest) -> list[dict[str, Any]]:
    """The workspaces one may change to; nothing where there is no choice."""
    workspaces = getattr(request, "workspaces", [])
    if len(workspaces) < 2:
        return []
    current = getattr(request, "workspace", None)
    return [
        {"title": row.name, "link": "", "attrs": {"slug": row.slug, "current": row == current}} for row in workspaces
    ]


def _static(path: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(path)


UNFOLD: dict[str, object] = {
    "SITE_TITLE": "fraudconsole",
    "SITE_HEADER": "fraudconsole",
    "SITE_SUBHEADER": workspace_name,
    "SITE_DROPDOWN": workspace_choices,
    "SITE_SYMBOL": "shield",
    "SITE_ICON": {
        "light": _static("fraudconsole/icon-light.svg"),
        "dark": _static("fraudconsole/icon-dark.svg"),
    },
    "SITE_URL": None,
    "COLORS": {
        "primary": {
            "50": "#eef8fa",
            "100": "#d5eef3",
            "200": "#afdee8",
            "300": "#7ac6d6",
            "400": "#3da6bc",
            "500": "#2897af",
            "600": "#0f7186",
            "700": "#0c6274",
            "800": "#124f5e",
            "900": "#134250",
            "950": "#072b36",
        },
    },
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _static("fraudconsole/favicon.svg")},
    ],
    "STYLES": [_static("fraudconsole/console.css"), _static("fraudconsole/editing.css")],
    "SCRIPTS": [_static("fraudconsole/console.js"), _static("fraudconsole/editing.js")],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "monitoring.dashboards.home.dashboard",
    "LOGIN": {"form": "accounts.sign_in.SignInForm"},
    "SIDEBAR": {"show_search": False, "navigation": sidebar},
}
