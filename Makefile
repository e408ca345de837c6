.DEFAULT_GOAL := help
.PHONY: help demo test faults soak cost bench setup lint format lock clean

# Without an index or find-links line, so that the lock holds for every mirror.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

FAULTS = PYTHONPATH=.:test/doubles:test/kafka:test/faults .venv/bin/python test/faults/

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## Run the whole line here: broker, stream, results (KEEP=1 leaves it running)
	@.venv/bin/python -m deploy.local.demo $(if $(filter 1,$(KEEP)),--keep)

test: tools ## Run every check and test, as CI does
	@.venv/bin/tox

faults: venv ## Kill a running job hundreds of times, check all it wrote (KILLS=, MODE=, SHORT=1)
	@$(FAULTS)campaign.py $(if $(KILLS),--kills $(KILLS)) $(if $(MODE),--mode $(MODE)) \
		$(if $(SHORT),--short); status=$$?; $(FAULTS)report.py; exit $$status
	@$(if $(SHORT),,.venv/bin/pytest -q -m slow test/kafka/faults)

soak: venv ## Watch memory and files of a job under half its load for half an hour (MINUTES=)
	@$(FAULTS)soak.py $(if $(MINUTES),--minutes $(MINUTES)); status=$$?; $(FAULTS)report.py; \
		exit $$status

cost: venv ## Measure what exactly-once costs against at-least-once
	@$(FAULTS)cost.py
	@$(FAULTS)report.py

bench: venv ## Compare with the model alone and with others; plots (PARTS=, ROUNDS=, TEXTS=)
	@PYTHONPATH=.:test/doubles:test/kafka:test/faults .venv/bin/python -m bench.run $(PARTS) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(TEXTS),--texts $(TEXTS))

setup: venv ## Make .venv and install the locked packages (PYTHON=... picks the Python)
	@echo "Ready: .venv"

lint: venv ## Check style, types and layers
	@.venv/bin/tox -e lint,types,layers

format: venv ## Format the code and fix what can be fixed
	@.venv/bin/ruff check --fix-only --quiet
	@.venv/bin/ruff format

lock: venv ## Take the newest versions that fit into requirements/
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml --output-file requirements/dev.txt
	@echo uv | $(COMPILE) --constraint requirements/dev.txt - --output-file requirements/uv.txt

clean: ## Remove what was built and installed (.tidemill, which holds checkpoints, stays)
	@rm -rf .venv .tox .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis \
		dist artifacts spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: venv tools
venv:
	@sh deploy/local/setup.sh
tools:
	@sh deploy/local/setup.sh --with-test-tools
