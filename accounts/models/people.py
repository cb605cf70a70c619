"""People, the workspaces they work in, and the role they have there."""

from __future__ import annotations

import secrets
import zoneinfo
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django_countries.fields import CountryField

from accounts import roles
from accounts.kyc.states import Fallback
from accounts.roles import Role
from accounts.scoping import WorkspaceModel, unscoped

ENDPOINT_BYTES = 18


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """Wholly lower case: nobody means two people by two spellings."""
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=self.normalize_email(username))


class User(AbstractBaseUser):
    """A person who signs in to the console with an e-mail address. What they may do depends on the workspace."""

    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField("may sign in", default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email

    def get_full_name(self) -> str:
        return self.name

    @cached_property
    def is_staff(self) -> bool:
        """Django's word for who may open the console: members of at least one workspace."""
        if self.is_active and self.role is not None:
            return True  # every page asks for the role anyway
        with unscoped(reason="a person's own memberships"):
            return self.is_active and Membership.objects.filter(user=self).exists()

    @property
    def role(self) -> Role | None:
        """The person's role in the current workspace."""
        return roles.role_of(self)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and roles.allows(self.role, perm)

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and roles.allows_any(self.role, app_label)

    def get_all_permissions(self, obj: object = None) -> set[str]:
        return set(roles.PERMISSIONS[self.role]) if self.role else set()


def new_endpoint() -> str:
    return secrets.token_urlsafe(ENDPOINT_BYTES)


def check_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name} is not a time zone. Write one such as Europe/Berlin.")


class NewNumbers(models.TextChoices):
    DEFAULT_POLICY = "default_policy", "They follow the default policy at once"
    FLAGGED = "flagged", "They stay as found and are flagged"


class ApprovalTier(models.TextChoices):
    """From which exposure tier on (see `accounts.countries`) a widening needs a second person."""

    NOBODY = "", "Not needed"
    DENIED_BY_DEFAULT = "T1", "For countries that are denied by default"
    CHALLENGED = "T2", "For those, and for countries that fraud prefers"
    NORMAL = "T3", "For every country"


class DigestPeriod(models.TextChoices):
    NEVER = "never", "Never"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"


class Workspace(models.Model):
    """One UponAI account and everything we keep about it; the tenant."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)
    home_country = CountryField(default="US", help_text="Calls elsewhere count as international.")
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    agent_minute_price = models.DecimalField(
        "price of an agent's minute",
        max_digits=8,
        decimal_places=4,
        default=Decimal("0.1000"),
        validators=[MinValueValidator(Decimal(0))],
        help_text="US dollars, without the carrier's part.",
    )
    carrier_prices = models.JSONField(
        default=dict,
        blank=True,
        help_text='Your own prices in US dollars a minute where they differ, such as {"GB": 0.05}.',
    )
    limits = models.JSONField(
        default=dict,
        blank=True,
        help_text='Where they differ from the factory\'s: {"spend_workspace": {"limit": 200, "window": 86400}}.',
    )
    kyc_settings = models.JSONField(
        "KYC settings",
        default=dict,
        blank=True,
        help_text='Where they differ from the factory\'s: {"valid_days": {"3": 180}, "review_hours": 24}.',
    )
    kyc_fallback = models.CharField(
        "second reviewer's stand-in",
        max_length=12,
        blank=True,
        choices=Fallback.choices,
        default=Fallback.NONE,
        help_text="Who stands in where four eyes are needed and nobody else may confirm.",
    )
    new_numbers = models.CharField(
        "numbers that appear at UponAI",
        max_length=16,
        choices=NewNumbers.choices,
        default=NewNumbers.FLAGGED,
        help_text="What becomes of a number that was bought at UponAI and not here.",
    )
    requests_per_second = models.PositiveSmallIntegerField(
        "requests to UponAI",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="The most a second that bringing policies to UponAI may send. UponAI publishes no limit.",
    )
    approval_tier = models.CharField(
        "second person for widening",
        max_length=2,
        blank=True,
        choices=ApprovalTier.choices,
        default=ApprovalTier.NOBODY,
        help_text="Opening such countries waits for a second person. Closing never does.",
    )
    approval_hours = models.PositiveSmallIntegerField(
        "hours to answer",
        default=24,
        validators=[MinValueValidator(1), MaxValueValidator(720)],
        help_text="A widening that nobody answers for so long is given up.",
    )
    digest_period = models.CharField(
        max_length=8,
        choices=DigestPeriod.choices,
        default=DigestPeriod.WEEKLY,
        help_text="How often owners and policy editors get a mail with what happened.",
    )
    keep_events_days = models.PositiveSmallIntegerField(
        "events",
        default=30,
        validators=[MinValueValidator(7), MaxValueValidator(400)],
        help_text="Days that they are kept as they came, sealed. So long one can be processed once more.",
    )
    keep_calls_days = models.PositiveSmallIntegerField(
        "calls and decisions",
        default=400,
        validators=[MinValueValidator(90), MaxValueValidator(3660)],
        help_text="Days, at least 90: so far back limits look, and costs that UponAI corrects. With what was blocked.",
    )
    provider_secret = models.TextField(
        blank=True, editable=False, help_text="Sealed: what results of identity providers are signed with."
    )
    endpoint = models.CharField(
        max_length=64,
        unique=True,
        default=new_endpoint,
        editable=False,
        help_text="The part of the webhook address that tells this workspace from others.",
    )
    snapshot_version = models.PositiveBigIntegerField(
        default=1, editable=False, help_text="Grows with every change that the gate must know."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class Membership(WorkspaceModel):
    """A person's role in one workspace."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="membership_once_per_workspace")]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()}"
