"""The addresses of the panels, and of pages that are no model's, below `/admin/`."""

from django.urls import path

from monitoring.dashboards import views

app_name = "monitoring"

urlpatterns = [
    path("panels/overview/", views.overview, name="panel-overview"),
    path("panels/newest/", views.newest, name="panel-newest"),
    path("panels/blocked/", views.blocked, name="panel-blocked"),
    path("panels/usage/", views.usage, name="panel-usage"),
    path("panels/top/", views.top, name="panel-top"),
    path("panels/risk/", views.risk, name="panel-risk"),
    path("panels/map/", views.world_map, name="panel-map"),
    path("panels/matters/", views.matters, name="panel-matters"),
    path("panels/phone-number/<int:pk>/", views.phone_number, name="panel-phone-number"),
    path("panels/public-key/<int:pk>/", views.public_key, name="panel-public-key"),
    path("countries/<str:code>/", views.country, name="country"),
    path("panels/observed/<str:what>/<int:pk>/", views.observed, name="panel-observed"),
    path("panels/subject/<int:pk>/", views.subject, name="panel-subject"),
]
