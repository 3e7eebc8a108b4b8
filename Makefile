# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_SAMPLES ?= 49152
# Quicker than the recipe's own where samples are few.
DEMO_SETTINGS := --set model.partners=1 --set training.batch=16 --set training.average=0.998 --set training.final_evaluations=0

.PHONY: demo test lint clean

# Installs; made anew when setup.py changes.
$(VENV)/installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

demo: $(VENV)/installed
	rm -rf demo/module
	$(BIN)/python -m acai_tf.train --dataset lines --recipe fast --samples $(DEMO_SAMPLES) --run_dir demo/run $(DEMO_SETTINGS)
	$(BIN)/python -m export --run demo/run --to demo/module
	$(BIN)/python -m export.demo --module demo/module --picture demo/interpolation.png

# tf.test gives every class a test_session of its own, which only skips.
test: lint
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal -k "not test_session" tests

lint: $(VENV)/installed
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) demo build *.egg-info
