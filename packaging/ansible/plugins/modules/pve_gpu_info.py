#!/usr/bin/python
# Copyright 2026 the pve-gpu-hook authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: pve_gpu_info
short_description: GPUs, cards and guests of a Proxmox VE host
version_added: 1.0.0
description:
  - Returns what C(pve-gpu-install status) knows. It changes nothing and wakes no device.
seealso:
  - module: pvegpu.hook.pve_gpu
  - module: pvegpu.hook.pve_gpu_check
author:
  - the pve-gpu-hook authors (@pve-gpu-hook)
extends_documentation_fragment:
  - pvegpu.hook.program
  - pvegpu.hook.program.looking
"""

EXAMPLES = r"""
- name: Look at the GPUs of this host
  pvegpu.hook.pve_gpu_info:
  register: gpus

- name: Show what each card is called, and who has it
  ansible.builtin.debug:
    msg: "{{ item.name or item.id }}: {{ item.guests }}"
  loop: "{{ gpus.cards | map(attribute='functions') | flatten }}"
"""

RETURN = r"""
host:
  description: Node, versions, boot loader, IOMMU, and whether a reboot is outstanding.
  returned: success
  type: dict
  sample: {"node": "pve1", "proxmox": "9.0.10", "kernel": "6.14.8-2-pve", "iommu": true, "reboot_needed": false}
cards:
  description: Every card with a GPU; its port and its functions with names, drivers, groups and guests.
  returned: success
  type: list
  elements: dict
  sample: []
guests:
  description: Guests with a GPU or with the hook; their last run.
  returned: success
  type: list
  elements: dict
  sample: []
open_journals:
  description: Starts that are at work or were killed half-way.
  returned: success
  type: list
  elements: dict
  sample: []
reason:
  description: Why it failed, in one of a few words.
  returned: failure
  type: str
  sample: not-found
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pvegpu.hook.plugins.module_utils.installer import ask, guest_options, guest_words


def main():
    module = AnsibleModule(argument_spec=guest_options(), supports_check_mode=True)
    answer = ask(module, ["status"] + guest_words(module.params))[1]
    module.exit_json(changed=False, **{key: answer[key] for key in ("host", "cards", "guests", "open_journals")})


if __name__ == "__main__":
    main()
