"""The page that the `type` of every problem points to."""

from __future__ import annotations

from typing import Any

from django.views.generic import TemplateView

from accounts.api.problems import KINDS, OTHER_KINDS, REMEDIES


class ProblemsPage(TemplateView):
    template_name = "accounts/problems.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kinds = [(status, name, title) for status, (name, title) in KINDS.items()]
        kinds += [(status, name, title) for name, (status, title) in OTHER_KINDS.items()]
        problems = [
            {"status": status, "name": name, "title": title, "remedy": REMEDIES[name]}
            for status, name, title in sorted(kinds, key=lambda kind: kind[0])
        ]
        return super().get_context_data(**kwargs) | {"problems": problems}
