.DEFAULT_GOAL := help
.PHONY: help demo cities ways shelf-layout forecasts broker test test-quick docs faults faults-serving faults-batch
.PHONY: faults-tasks soak cost bench bench-serving bench-forecast bench-batch bench-store bench-tasks frameworks peers
.PHONY: setup lint format lock clean
.PHONY: up up-serving down network kafka app produce-input consume-results consume-dead-letters logs image

# Without an index or find-links line, so that the lock holds for every mirror.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

FAULTS = .venv/bin/python -m faults.

COMPOSE = @sh deploy/local/compose.sh

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## Run a broker, the job and a few messages here (KEEP=1 leaves them running)
	@.venv/bin/python -m dev.demo $(if $(filter 1,$(KEEP)),--keep)

cities: venv ## Run 200 small models and two A/B tests on a file and a topic (examples/cities)
	@.venv/bin/python -m examples.cities.run

shelf-layout: venv ## Search for the best layout of a shelf, and draw it (examples/shelf_layout)
	@.venv/bin/python -m examples.shelf_layout.run

ways: venv ## Get the same predictions from a batch, by a look-up, on demand, and by a task (WAY=; examples/ways)
	@.venv/bin/python -m examples.ways.run $(WAY)

forecasts: venv ## Fit 1,400 models of Prophet and forecast with all at once (MODELS=; examples/forecasts)
	@.venv/bin/python -m examples.forecasts.run $(MODELS)

broker: venv ## Run the demo's broker alone, without Docker, until Ctrl-C (WIPE=1: with no data)
	@$(if $(filter 1,$(WIPE)),rm -rf .tidemill/broker)
	@.venv/bin/python -m dev.demo.broker

up: ## Run Kafka and the job in containers, and wait until the job is ready
	$(COMPOSE) up

up-serving: ## Run two servers behind a proxy in containers, and wait until they are ready
	$(COMPOSE) up-serving

down: ## Remove the containers and their network (WIPE=1: messages and checkpoint too)
	$(COMPOSE) down

network: ## Create the network of the containers
	$(COMPOSE) network

kafka: ## Run a broker with its topics in a container
	$(COMPOSE) kafka

app: ## Run the job beside it, or restart it with the current code
	$(COMPOSE) app

produce-input: ## Send deploy/local/input.json to the broker
	$(COMPOSE) produce-input

consume-results: ## Print the results (FOLLOW=1: until Ctrl-C)
	$(COMPOSE) consume-results

consume-dead-letters: ## Print the dead letters, with their headers (FOLLOW=1: until Ctrl-C)
	$(COMPOSE) consume-dead-letters

logs: ## Follow the job's log until Ctrl-C
	$(COMPOSE) logs

image: ## Rebuild the image (BUILD_TARGET=databricks, serve: other ones)
	$(COMPOSE) image

test: tools ## Run every check and test, as CI does
	@.venv/bin/tox -p 2 --parallel-live

test-quick: venv ## Run what needs neither Spark nor a broker: style, types, layers, unit tests
	@.venv/bin/tox -p 2 -e lint,types,layers,unit

faults: venv ## Kill a running job hundreds of times and check its output (KILLS=, MODE=, SHORT=1)
	@$(FAULTS)campaign $(if $(KILLS),--kills $(KILLS)) $(if $(MODE),--mode $(MODE)) \
		$(if $(SHORT),--short); status=$$?; $(FAULTS)report; exit $$status
	@$(if $(SHORT),,.venv/bin/pytest -q -m slow test/kafka test/store)

faults-serving: venv ## Kill servers and their model processes under load (KILLS=); rewrites docs/FAULTS.md
	@$(FAULTS)serving $(if $(KILLS),--kills $(KILLS)); status=$$?; $(FAULTS)report; exit $$status

faults-batch: venv ## Kill batches at random moments and check their output (KILLS=); rewrites docs/FAULTS.md
	@$(FAULTS)batch $(if $(KILLS),--kills $(KILLS)); status=$$?; $(FAULTS)report; exit $$status

faults-tasks: venv ## Kill what runs long tasks, and check how each task ends (KILLS=); rewrites docs/FAULTS.md
	@$(FAULTS)tasks $(if $(KILLS),--kills $(KILLS)); status=$$?; $(FAULTS)report; exit $$status

soak: venv ## Watch a job's memory and files at half its load for half an hour (MINUTES=)
	@$(FAULTS)soak $(if $(MINUTES),--minutes $(MINUTES)); status=$$?; $(FAULTS)report; \
		exit $$status

cost: venv ## Measure what exactly-once costs against at-least-once
	@$(FAULTS)cost
	@$(FAULTS)report

bench: venv ## Compare with the bare model and with peers; draw plots (PARTS=, ROUNDS=, TEXTS=)
	@.venv/bin/python -m bench.run $(PARTS) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(TEXTS),--texts $(TEXTS))

bench-serving: venv ## Compare `tidemill serve` with bare FastAPI and KServe, and kill processes
	@.venv/bin/python -m bench.run serving

bench-forecast: venv ## Compare packed models with Prophet, statsforecast and mlforecast (MODELS=)
	@.venv/bin/python -m bench.run forecast $(if $(MODELS),--models $(MODELS))

bench-batch: venv ## Compare `tidemill batch` with the model alone, pandas, and MLflow on Spark
	@.venv/bin/python -m bench.run batch

bench-store: tools ## Compare the store with Feast and plain SQL; needs PostgreSQL (ROWS=, LOAD=)
	@.venv/bin/python -m bench.run store $(if $(ROWS),--rows $(ROWS)) $(if $(LOAD),--load $(LOAD))

bench-tasks: bench-tools ## Compare tasks with Celery, procrastinate and Huey; needs Redis and PostgreSQL
	@.venv/bin/python -m bench.run tasks

frameworks: venv ## Run models of PyTorch and TensorFlow through the adapters (downloads 4 GB)
	@.venv/bin/python -m dev.frameworks.check

peers: venv ## Run other projects' tests and clients against `tidemill serve` (SUITES=)
	@.venv/bin/python -m dev.peers.run $(SUITES)

docs: venv ## Generate the reference pages and build the documentation into dist/docs
	@.venv/bin/python -m dev.docs.generate
	@.venv/bin/zensical build --strict --clean

setup: venv ## Create .venv with the locked packages (PYTHON=... chooses the Python)
	@echo "Ready. Run: . .venv/bin/activate"

lint: venv ## Check style, types and layers
	@.venv/bin/tox -e lint,types,layers

format: venv ## Format the code and fix what can be fixed
	@.venv/bin/ruff check --fix-only --quiet
	@.venv/bin/ruff format

lock: venv ## Upgrade the locked versions in requirements/
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml --output-file requirements/dev.txt
	@echo uv | $(COMPILE) --constraint requirements/dev.txt - --output-file requirements/uv.txt
	@$(COMPILE) --extra stream --extra store --extra spacy --constraint requirements/dev.txt pyproject.toml \
		--output-file requirements/local.txt
	@$(COMPILE) --extra serve --extra store --extra spacy --constraint requirements/dev.txt pyproject.toml \
		--output-file requirements/serve.txt
	@$(COMPILE) --extra stream --extra store --extra spacy --group databricks --constraint requirements/dev.txt \
		--no-emit-package pyspark --no-emit-package py4j pyproject.toml \
		--output-file requirements/databricks.txt

clean: ## Remove everything built or installed (.tidemill, with its checkpoints, stays)
	@rm -rf .venv .tox .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis \
		.cache dist artifacts spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: venv tools bench-tools
venv:
	@sh dev/setup.sh
tools:
	@sh dev/setup.sh --with-test-tools
bench-tools:
	@sh dev/setup.sh --with-bench-tools
