# Each target is one ordinary command; `make run` and `make test` set up what they need.
PORT ?= 8501
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin

.PHONY: run test lint models train chromium axe proxy pictures bench audit fuzz

run: .venv/.app
	@echo "Attention Lab: http://localhost:$(PORT)"
	$(BIN)/streamlit run app/main.py --server.port $(PORT)

test: .venv/.test chromium axe proxy
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

lint: .venv/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

# SmolLM2-135M and the full MiniLM into the cache folder (ATTENTION_LAB_HOME); optional, the app runs without.
models: .venv/.app
	$(BIN)/python -m models.fetch

# Every shipped checkpoint again, from its text and seed: hours on two cores. One by one: see assets/weights/*/README.md.
train: .venv/.app
	$(BIN)/python -m models.training.pack_minilm
	$(BIN)/python -m models.training.small_gpt
	$(BIN)/python -m models.training.char_models

.venv/.app: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

.venv/.test: .venv/.app pyproject.toml
	$(BIN)/pip install --quiet --editable ".[test]"
	touch $@

# The browser tests take the system's Chromium, else Debian's package, else Playwright's own download.
chromium: .venv/.test
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	|| $(BIN)/playwright install chromium

# The test of the replicas needs HAProxy: the system's, else Debian's package. Without either that one test fails and says so.
proxy:
	@command -v haproxy >/dev/null 2>&1 || [ -x /usr/sbin/haproxy ] \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq haproxy >/dev/null; } \
	|| echo "No HAProxy here and no right to install it: tests/load/test_sticky.py will fail. Install the package haproxy."

# The accessibility rules that the browser tests run in each page: axe-core of the npm registry, as the lock file says.
AXE := tests/browser/node_modules/axe-core/axe.min.js
axe:
	@[ $(AXE) -nt tests/browser/package-lock.json ] || { { command -v npm >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq --no-install-recommends npm >/dev/null; }; } \
	&& npm ci --prefix tests/browser --no-audit --no-fund --silent && touch $(AXE); } \
	|| echo "No npm here and no right to install it: tests/browser/test_everyone.py will fail. Install Node.js with npm."

# The README's pictures again, from the app as it is.
pictures: .venv/.test chromium
	$(BIN)/python -m tests.browser.pictures

# What the app costs beside Streamlit's own floor: a table, benchmarks/results/latest.json and its picture (minutes).
# BENCH=--quick for a smoke test; see python -m benchmarks --help.
bench: .venv/.test chromium
	$(BIN)/python -m benchmarks $(BENCH)

# Every installed package, down to the last one that another needs, against the published advisories. Needs the advisories of PyPI; what
# cannot be looked up is a failure and not a pass.
audit: .venv/.app
	$(PYTHON) -m venv .venv/audit && .venv/audit/bin/pip install --quiet pip-audit==2.10.1
	.venv/audit/bin/pip-audit --strict --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# Visitors who do anything at all, until so many moves are done (minutes); the tests walk the same way for a short while.
fuzz: .venv/.test
	$(BIN)/python -m benchmarks.fuzz --moves 2000 --seed 0
