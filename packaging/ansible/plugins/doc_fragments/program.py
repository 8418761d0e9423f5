# Copyright 2026 the pve-gpu-hook authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What the documentation of each module says alike."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment(object):
    DOCUMENTATION = r"""
options: {}
requirements:
  - the package pve-gpu-hook, version 0.2.0 or newer, on the host
"""

    # Of a module that only looks.
    LOOKING = r"""
options:
  vms:
    description: Of these virtual machines and what concerns them only.
    type: list
    elements: int
    default: []
  containers:
    description: Of these containers and what concerns them only.
    type: list
    elements: int
    default: []
attributes:
  check_mode:
    description: It never changes anything.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
"""
