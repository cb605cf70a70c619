"""Mails as files."""

import stat

from django.core.mail import get_connection
from django.core.mail.message import EmailMessage

from fraudconsole.env import Environment


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_on_the_machine_can_read_them(tmp_path):
    there = Environment({}).mail("EMAIL_URL", tmp_path / "var" / "mail")
    connection = get_connection(there["EMAIL_BACKEND"], file_path=there["EMAIL_FILE_PATH"])

    sent = connection.send_messages([EmailMessage("A leak", "+14155550100", to=["ada@example.com"])])

    [mail] = (tmp_path / "var" / "mail").iterdir()
    assert (sent, _mode(mail.parent), _mode(mail)) == (1, 0o700, 0o600)
    assert b"+14155550100" in mail.read_bytes()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    tmp_path.chmod(0o750)

    get_connection("fraudconsole.mail_files.EmailBackend", file_path=str(tmp_path))

    assert _mode(tmp_path) == 0o750
