"""The sign-in form. Outside the admin package: unfold loads it before its site exists to register pages at."""

from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """Says who may come in: members of a workspace, with their e-mail address."""

    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": "This e-mail address and password do not belong together, or to no member of a workspace.",
    }
