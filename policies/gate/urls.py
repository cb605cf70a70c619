"""The gate's hot doors."""

from django.urls import path

from policies.gate import inbound
from policies.gate.judging import doors as judging
from policies.gate.outbound import doors

urlpatterns = [
    path("hooks/<str:endpoint>/inbound", inbound.inbound),
    path("gate/v2/create-phone-call", doors.create_phone_call),
    path("gate/create-sms-chat", doors.create_sms_chat),
    path("gate/v3/create-web-call", doors.create_web_call),
    path("gate/create-chat", doors.create_chat),
    path("gate/create-chat-completion", doors.create_chat_completion),
    path("gate/v1/judge", judging.judge),
    path("gate/v1/outcomes", judging.outcomes),
    path("gate/v1/form", judging.form),
]
