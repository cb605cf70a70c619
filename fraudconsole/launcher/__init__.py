"""What `make run` does: one machine's processes, started, watched and ended together. Imports no Django."""


class Refusal(Exception):
    """The start cannot go on; the message is a sentence for the person who typed the command."""
