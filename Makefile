# Mesh. `make run` starts it; `make test` runs every test. Both set up what they need.
PYTHON ?= python3

.PHONY: run test check fmt bench chaos lock
run test check fmt bench chaos:
	@exec $(PYTHON) -m mesh.bootstrap $@ $(ARGS)

# After a change of requirements*.in: pin again.
lock:
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-emit-index-url requirements.in -o requirements.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-emit-index-url requirements-dev.in -o requirements-dev.txt
