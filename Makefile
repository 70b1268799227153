# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

# Every target does its own set-up; "make help" lists them.

HOST ?= mail1
SETUP = sh tests/setup.sh
PYTHON_IN_VENV = .build/venv/bin/python
SANDBOX = PYTHONPATH=tests $(PYTHON_IN_VENV) -m sandbox
SANDBOX_INVENTORY = .build/sandbox/inventory.yml

# A configuration of the user's own wins over the one in this folder.
ANSIBLE_CONFIG ?= $(CURDIR)/ansible.cfg
export ANSIBLE_CONFIG
# Ansible insists on UTF-8, and a bare server has no locale set.
export LC_ALL = C.UTF-8

# A play without hosts would end with success, and nothing would have been done.
site preflight doctor: export ANSIBLE_HOST_PATTERN_MISMATCH = error

.DEFAULT_GOAL := help
.PHONY: help site preflight doctor test test-release test-systems test-vm check docs record shell clean

help:
	@echo 'make site                 stand up the sandbox host $(HOST) with playbooks/site.yml'
	@echo 'make site INVENTORY=path  the same playbook on your servers [LIMIT=pattern] [ARGS="--check --diff"]'
	@echo 'make preflight            can the host be a mail host? [INVENTORY=path] [LIMIT=pattern] [ARGS=...]'
	@echo 'make doctor               why does mail not arrive? [INVENTORY=path] [LIMIT=pattern] [ARGS=...]'
	@echo 'make test                 all tests but the next three: about an hour on two cores'
	@echo 'make test-release         the tarball as Galaxy sees it; every ansible-core, Python and fail2ban'
	@echo 'make test-systems         roles, mailcow and Mailu on look-alikes of Ubuntu, AlmaLinux and Rocky Linux'
	@echo 'make test-vm              the scenario with a virtual machine, which has a kernel of its own'
	@echo 'make check                the quick part: lint and unit tests'
	@echo 'make docs                 write what is generated: the READMEs of the roles, tables in docs/'
	@echo 'make record               put what passed here into docs/platforms.md, with date and version'
	@echo 'make shell HOST=mail1     a root shell on a sandbox host'
	@echo 'make clean                remove .build and the containers, networks and images of the sandbox'
	@echo
	@echo 'PYTHON=/path/to/python3 chooses the interpreter (3.11 to 3.14; default: the newest on PATH).'

# With INVENTORY: real servers, so neither a Docker engine nor the sandbox.
ifneq ($(INVENTORY),)
site preflight doctor:
	@test -e '$(INVENTORY)' || { echo "INVENTORY=$(INVENTORY): no such file or folder" >&2; exit 2; }
	@$(SETUP) run
	@.build/venv/bin/ansible-playbook -i '$(INVENTORY)' $(if $(LIMIT),--limit '$(LIMIT)') playbooks/$@.yml $(ARGS)
else
site preflight doctor:
	@$(SETUP) sandbox
	@$(SANDBOX) up '$(HOST)'
	@.build/venv/bin/ansible-playbook -i $(SANDBOX_INVENTORY) --limit '$(or $(LIMIT),$(HOST))' playbooks/$@.yml $(ARGS)
endif

test:
	@$(SETUP) test
	@$(PYTHON_IN_VENV) tests/run.py test $(STEPS)

test-release test-systems test-vm:
	@$(SETUP) test
	@$(PYTHON_IN_VENV) tests/run.py $@ $(STEPS)

check:
	@$(SETUP) check
	@$(PYTHON_IN_VENV) tests/run.py check $(STEPS)

docs:
	@$(SETUP) run
	@$(PYTHON_IN_VENV) tests/readme.py
	@for script in tests/*_doc.py; do PYTHONPATH=.build/collections $(PYTHON_IN_VENV) $$script || exit; done

# The dates and versions of docs/platforms.md: of what has passed in this checkout.
record:
	@$(SETUP) run
	@$(PYTHON_IN_VENV) tests/last_runs.py
	@PYTHONPATH=.build/collections $(PYTHON_IN_VENV) tests/platforms_doc.py

shell:
	@$(SETUP) sandbox
	@$(SANDBOX) shell '$(HOST)'

# System packages that the set-up installed stay: something else may use them by now.
clean:
	@if [ -x $(PYTHON_IN_VENV) ] && [ -d .build/sandbox ]; then $(SANDBOX) clean; fi
	@sh tests/sandbox/engine.sh stop
	@rm -rf .build .hypothesis .pytest_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
