# Copyright 2026 the pve-gpu-hook authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""How the modules ask pve-gpu-install, and what becomes of its answers."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os

PROGRAM = "/usr/sbin/pve-gpu-install"

# Exit statuses: done, failed, wrong usage, done but a reboot is needed.
FAILED = 1
REBOOT_NEEDED = 3


def guest_options():
    """The options of every module that say which guests are meant."""
    return dict(
        vms=dict(type="list", elements="int", default=[]),
        containers=dict(type="list", elements="int", default=[]),
    )


def guest_words(params):
    words = []
    for vmid in params["vms"]:
        words += ["--vm", str(vmid)]
    for vmid in params["containers"]:
        words += ["--ct", str(vmid)]
    return words


def is_installed():
    return os.access(PROGRAM, os.X_OK)


def fail(module, answer, status, said):
    """Fails the module with the program's own words, and with all that it knows besides."""
    error = answer.get("error") or {}
    where = error.get("where")
    message = (where + ": " if where else "") + (error.get("what") or "exit status %d" % status)
    if error.get("remedy"):
        message += "; " + error["remedy"]
    module.fail_json(msg=message, reason=error.get("reason"), answer=answer, stderr=said)


def ask(module, words):
    """Runs 'pve-gpu-install WORDS --json': its exit status and its answer. Fails the module where it failed."""
    if not is_installed():
        module.fail_json(msg="'%s' is not there; install the package pve-gpu-hook" % PROGRAM)
    status, out, err = module.run_command([PROGRAM] + words + ["--json"], environ_update=dict(LC_ALL="C"))
    try:
        answer = json.loads(out)
    except ValueError:
        module.fail_json(msg="'%s' gave no JSON; is its version 0.2.0 or newer?" % PROGRAM, rc=status, stdout=out, stderr=err)
    if answer.get("error"):
        fail(module, answer, status, err)
    return status, answer
