"""A local UponAI for demonstrations and tests: its own process and state, nothing of the console inside."""
