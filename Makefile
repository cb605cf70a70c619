# Everything starts from nothing but git, make and a Python: see README.md.
# PORT, SANDBOX_PORT, DATA_DIR and the names in .env.example may be given: PORT=8080 make run
# Arguments are passed on with ARGS: make test ARGS="-k inbound"

PYTHON_IN_VENV := .venv/bin/python
LINT_ENVIRONMENT := DATA_DIR=var/lint SECRET_KEY=lint ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

# Any Python will do to start with: bootstrap.py finds a newer one, or says how to get it.
BOOTSTRAP = for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
		"$$python" -c pass 2>/dev/null && break; python=; \
	done; \
	if [ -z "$$python" ] && command -v uv >/dev/null; then uv venv --quiet --python 3.13 .venv && python=$(PYTHON_IN_VENV); fi; \
	if [ -z "$$python" ]; then \
		echo "fraudconsole needs Python 3.11 or newer; none was found here. Install one: sudo apt-get install -y python3 python3-venv (or: brew install python@3.13)" >&2; exit 1; \
	fi; \
	exec "$$python" fraudconsole/bootstrap.py

.PHONY: help run test lint bench lock clean

help:
	@echo "make run    start the console with a demo on http://127.0.0.1:8000/"
	@echo "make test   run all tests, on SQLite and on PostgreSQL"
	@echo "make lint   check style, types, imports, templates and migrations"
	@echo "make bench  measure what a decision costs, beside an empty view and other ways to do it"
	@echo "make lock   pin what requirements*.in name, after a change"
	@echo "make clean  remove the virtual environment and all data of the demo"

# `exec`, so that the launcher is make's own child; it ends when make does, however make ends.
run:
	@END_WITH_PARENT=$$PPID; export END_WITH_PARENT; \
	$(BOOTSTRAP) requirements.txt fraudconsole.run $(ARGS)

test:
	@$(BOOTSTRAP) requirements-dev.txt tests.run $(ARGS)

lint:
	@$(BOOTSTRAP) requirements-dev.txt
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	.venv/bin/lint-imports
	$(PYTHON_IN_VENV) -m djlint --check --quiet templates
	@mkdir -p var/lint
	$(LINT_ENVIRONMENT) $(PYTHON_IN_VENV) manage.py makemigrations --check --dry-run
	$(LINT_ENVIRONMENT) $(PYTHON_IN_VENV) manage.py check

# On a quiet machine. Sizes and sections: make bench ARGS="--quick --only numbers", make bench ARGS=--help
bench:
	@$(BOOTSTRAP) requirements-dev.txt fraudconsole.bench $(ARGS)

# Newest versions that fit: make lock ARGS=--upgrade
lock:
	@$(BOOTSTRAP) requirements-dev.txt
	@uv=$$(command -v uv || echo .venv/bin/uv); \
	[ -x "$$uv" ] || $(PYTHON_IN_VENV) -m pip install --quiet --require-hashes -r requirements-bootstrap.txt; \
	for name in requirements-bootstrap requirements requirements-dev; do \
		"$$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--custom-compile-command "make lock" $(ARGS) $$name.in -o $$name.txt || exit 1; \
	done

clean:
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
