"""The page that the `type` of every problem points to."""

from __future__ import annotations

from typing import Any

from django.views.generic import TemplateView

from accounts.api.problems import KINDS, REMEDIES


class ProblemsPage(TemplateView):
    template_name = "accounts/problems.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        problems = [
            {"status": status, "name": name, "title": title, "remedy": REMEDIES[name]}
            for status, (name, title) in sorted(KINDS.items())
        ]
        return super().get_context_data(**kwargs) | {"problems": problems}
