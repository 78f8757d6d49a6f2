# The checks, with the tools that ./test.sh puts into .venv: run that once first.

export PATH := $(CURDIR)/.venv/bin:$(PATH)
processes ?= 3

# Each of these is covered wholly: every line, and both ways of every branch.
covered := webchat/chat/**/*.py,webchat/codecs/**/*.py,webchat/net/frames.py,webchat/net/outbox.py

.PHONY: check style types test coverage

check: style types test

style: .venv
	ruff check .

types: .venv
	mypy

test: .venv
	npm test
	python -m pytest -q --numprocesses $(processes) --dist loadfile

coverage: .venv
	python -m coverage erase
	python -m pytest -q --numprocesses $(processes) --dist loadfile --cov --cov-report=
	python -m coverage report --fail-under=95
	python -m coverage report --fail-under=100 --include='$(covered)'

.venv:
	@echo 'There is no .venv yet: run ./test.sh once.' >&2; exit 1
