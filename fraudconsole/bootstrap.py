"""Brings a fresh machine to a complete `.venv` and then starts a module with it.

Runs before anything is installed and under whatever Python there is, so: the standard library alone, and a
syntax that Python 2.7 still reads, since an old Python must answer with a sentence and not a SyntaxError.
"""
# ruff: noqa: B904, RUF005

from __future__ import print_function

import sys

if __name__ == "__main__":
    # The folder of this file holds celery.py and others, which must not hide the real ones.
    del sys.path[0]

import hashlib
import os
import platform
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
INSTALL_LOG = os.path.join(VENV, "install.log")
INSTALLER_LOCK = "requirements-bootstrap.txt"
# What a lock file installs of another one, so that `make run` after `make test` has nothing to do.
INCLUDED = {"requirements-dev.txt": ["requirements.txt"]}
OLDEST = (3, 11)
# `python3` first, where it is new enough: it is the one that its owner keeps complete.
CANDIDATES = ["python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"]
# Older than the newest, for which not every package has a wheel yet.
DOWNLOADED_BY_UV = "3.13"
UV_COMMAND = "curl -LsSf https://astral.sh/uv/install.sh | sh"
NETWORK_WORDS = [
    "name resolution",
    "name or service not known",
    "nodename nor servname",
    "dns error",
    "network is unreachable",
    "connection refused",
    "connection error",
    "newconnectionerror",
    "no route to host",
    "error sending request",
    "timed out",
    "cannot connect to proxy",
    "client error (connect)",
]
DISK_WORDS = ["no space left on device", "os error 28", "disk quota exceeded"]


class Refusal(Exception):
    """Set-up cannot go on; the message is a sentence for the person who typed the command."""


def main(arguments):
    os.chdir(ROOT)
    lock, module, rest = arguments[0], arguments[1:2], arguments[2:]
    try:
        prepare(lock)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing is broken: the next start goes on from here.", file=sys.stderr)
        return 130
    if module:
        sys.stdout.flush()
        os.execv(VENV_PYTHON, [VENV_PYTHON, "-m"] + module + rest)
    return 0


def prepare(lock):
    """Make `.venv` hold what the lock file says; a moment when it already does."""
    guard = one_at_a_time()
    try:
        if version_of(VENV_PYTHON) is None or not os.path.exists(os.path.join(VENV, "pyvenv.cfg")):
            create_venv()
        if is_installed(lock):
            return
        install(lock)
        for name in [lock] + INCLUDED.get(lock, []):
            with open(stamp_of(name), "w") as handle:
                handle.write(fingerprint_of(name))
    except EnvironmentError as problem:
        raise Refusal(explain(str(problem), "The set-up failed."))
    finally:
        os.close(guard)


def one_at_a_time():
    """`make run` and `make test` may be started together in a fresh folder; the second waits."""
    import fcntl

    guard = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(guard, fcntl.LOCK_EX)
    return guard


# --- Python ---------------------------------------------------------------------------------------


def refuse_old_python(version, path):
    """The sentence for a machine whose newest Python is too old; None when it is new enough."""
    if version is not None and tuple(version[:2]) >= OLDEST:
        return None
    wanted = ".".join(str(part) for part in OLDEST)
    if version is None:
        found = "none was found here"
    else:
        found = "the newest here is {}.{} ({})".format(version[0], version[1], path)
    return "fraudconsole needs Python {} or newer; {}. Install one: {}".format(
        wanted, found, command_for_python(too_old=version is not None)
    )


def command_for_python(too_old):
    if which("brew"):
        return "brew install python@3.13"
    if which("apt-get") and not too_old:
        return "sudo apt-get install -y python3 python3-venv"
    if which("dnf"):
        return "sudo dnf install -y python3.11"
    return UV_COMMAND + "   (uv brings a Python of its own)"


def find_python():
    """The path of a Python that is new enough, else a Refusal that says how to get one."""
    if sys.version_info[:2] >= OLDEST and not sys.executable.startswith(VENV + os.sep):
        return sys.executable
    newest, newest_path = None, None
    for name in CANDIDATES:
        path = which(name)
        version = version_of(path) if path else None
        if version and (newest is None or version > newest):
            newest, newest_path = version, path
        if version and version >= OLDEST:
            return path
    raise Refusal(refuse_old_python(newest, newest_path))


def version_of(python):
    """(major, minor) of an interpreter that really runs and is no 32-bit relic or dead link; else None."""
    if not python or not os.path.exists(python):
        return None
    code, output = run([python, "-c", "import sys; print('%d %d' % sys.version_info[:2])"])
    if code != 0:
        return None
    try:
        major, minor = output.split()[-2:]
        return int(major), int(minor)
    except ValueError:
        return None


def create_venv():
    uv = which("uv")
    if os.path.lexists(VENV):
        say("Rebuilding .venv, which was incomplete.")
        remove(VENV)
    if uv:
        try:
            python = find_python()
        except Refusal:
            python = DOWNLOADED_BY_UV
        say("Creating .venv with uv.")
        code, output = run([uv, "venv", "--quiet", "--python", python, VENV])
    else:
        python = find_python()
        require_venv_module(python)
        say("Creating .venv with {}.".format(python))
        code, output = run([python, "-m", "venv", VENV])
    if code != 0:
        raise Refusal(explain(output, "The virtual environment .venv could not be made."))


def require_venv_module(python):
    """Debian ships `venv` without the part that it needs, in a package of its own."""
    code, _ = run([python, "-c", "import venv, ensurepip"])
    if code == 0:
        return
    version = "{}.{}".format(*version_of(python))
    command = "sudo apt-get install -y python{}-venv".format(version) if which("apt-get") else UV_COMMAND
    raise Refusal("Python {} has no complete `venv` module. Install it: {}".format(version, command))


# --- Packages -------------------------------------------------------------------------------------


def install(lock):
    say("Installing packages ({}).".format(lock))
    uv, output = find_uv()
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", VENV_PYTHON, "--require-hashes", "-r", lock]
        code, output = run(command, uv_environment())
        if code == 0:
            return
    elif names_any(output, NETWORK_WORDS):
        raise Refusal(explain(output, ""))
    # A mirror that only pip is told about, or a machine for which there is no uv.
    code, pip_output = run(
        [VENV_PYTHON, "-m", "pip", "install", "--quiet", "--retries", "1", "--require-hashes", "-r", lock]
    )
    if code != 0:
        output = output if "No module named pip" in pip_output else pip_output
        raise Refusal(explain(output, "The packages of {} could not be installed.".format(lock)))


def find_uv():
    """uv from the PATH, else from the virtual environment, put there if missing; and what pip said if not."""
    on_path = which("uv")
    if on_path:
        return on_path, ""
    inside = os.path.join(VENV, "bin", "uv")
    if os.path.exists(inside):
        return inside, ""
    code, output = run(
        [
            VENV_PYTHON,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--retries",
            "1",
            "--require-hashes",
            "-r",
            INSTALLER_LOCK,
        ]
    )
    return (inside, "") if code == 0 else (None, output)


def uv_environment():
    """uv does not read pip's variables; a mirror is set once and meant for both."""
    environment = dict(os.environ)
    environment.pop("VIRTUAL_ENV", None)
    if environment.get("PIP_INDEX_URL") and not environment.get("UV_INDEX_URL"):
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    return environment


def is_installed(lock):
    return read(stamp_of(lock)) == fingerprint_of(lock)


def stamp_of(lock):
    return os.path.join(VENV, "installed-" + lock)


def fingerprint_of(lock):
    digest = hashlib.sha256()
    for path in [lock, os.path.join(VENV, "pyvenv.cfg")]:
        with open(path, "rb") as handle:
            digest.update(handle.read())
    return digest.hexdigest()


# --- Words ----------------------------------------------------------------------------------------


def explain(output, otherwise):
    """One sentence for the troubles a person can end, else the last lines and where the rest is."""
    if names_any(output, DISK_WORDS):
        return "The disk is full: setting up needs about 600 MB in {}. Free some space and start again.".format(ROOT)
    if names_any(output, NETWORK_WORDS):
        return (
            "The packages could not be downloaded, because the package index cannot be reached. The first "
            "start needs the network: connect, then start again. Behind a proxy set HTTPS_PROXY; with a "
            "mirror of your own set PIP_INDEX_URL."
        )
    lines = [line for line in output.strip().splitlines() if line.strip()]
    try:
        with open(INSTALL_LOG, "w") as handle:
            handle.write(output)
        where = ["All of it: " + INSTALL_LOG]
    except EnvironmentError:
        where = []
    return "\n".join([otherwise] + ["  " + line for line in lines[-15:]] + where)


def names_any(output, words):
    return any(word in output.lower() for word in words)


def say(sentence):
    print(sentence)
    sys.stdout.flush()


# --- What newer Pythons bring along ---------------------------------------------------------------


def run(command, environment=None):
    """(exit code, everything it printed), with nothing on the terminal."""
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=open(os.devnull),  # noqa: SIM115
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as problem:
        return 127, str(problem)
    output = process.communicate()[0]
    return process.returncode, output.decode("utf-8", "replace")


def which(name):
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def read(path):
    try:
        with open(path) as handle:
            return handle.read()
    except EnvironmentError:
        return None


def remove(path):
    import shutil

    if os.path.islink(path) or os.path.isfile(path):
        os.remove(path)
    else:
        shutil.rmtree(path)


if __name__ == "__main__":
    if platform.system() == "Windows":
        sys.exit("fraudconsole runs on Linux and macOS; on Windows start it inside WSL.")
    sys.exit(main(sys.argv[1:]))
