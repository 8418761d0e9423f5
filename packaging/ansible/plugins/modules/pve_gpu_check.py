#!/usr/bin/python
# Copyright 2026 the pve-gpu-hook authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: pve_gpu_check
short_description: What is wrong with GPU passthrough on a Proxmox VE host
version_added: 1.0.0
description:
  - Returns what C(pve-gpu-install check) finds, each with its remedy. It changes nothing and wakes no device.
options:
  fail_on:
    description: From which verdict on the task fails.
    type: str
    choices: [never, error, warning]
    default: never
seealso:
  - module: pvegpu.hook.pve_gpu
  - module: pvegpu.hook.pve_gpu_info
author:
  - the pve-gpu-hook authors (@pve-gpu-hook)
extends_documentation_fragment:
  - pvegpu.hook.program
  - pvegpu.hook.program.looking
"""

EXAMPLES = r"""
- name: Let the play fail where a guest could not start
  pvegpu.hook.pve_gpu_check:
    fail_on: error

- name: See what stands in the way of VM 101
  pvegpu.hook.pve_gpu_check:
    vms: [101]
  register: checked

- name: Show what to do
  ansible.builtin.debug:
    msg: "{{ item.subject }}: {{ item.evidence }}; {{ item.remedy }}"
  loop: "{{ checked.findings }}"
"""

RETURN = r"""
worst:
  description: The worst verdict.
  returned: success
  type: str
  sample: warning
findings:
  description: What is not well, the worst first.
  returned: success
  type: list
  elements: dict
  sample:
    - name: guest.machine
      subject: VM 101
      verdict: error
      evidence: "no 'machine' line, which means 'i440fx'"
      remedy: qm set 101 --machine q35
checks:
  description: Everything that was looked at.
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

WORST_FIRST = ("error", "warning", "unknown", "note")
FAILS = dict(never=(), error=("error",), warning=("error", "warning"))


def main():
    module = AnsibleModule(
        argument_spec=dict(
            guest_options(),
            fail_on=dict(type="str", choices=["never", "error", "warning"], default="never"),
        ),
        supports_check_mode=True,
    )
    answer = ask(module, ["check"] + guest_words(module.params))[1]
    checks = answer["checks"]
    findings = [one for verdict in WORST_FIRST for one in checks if one["verdict"] == verdict]
    bad = [one for one in findings if one["verdict"] in FAILS[module.params["fail_on"]]]
    result = dict(changed=False, worst=answer["worst"], findings=findings, checks=checks)
    if bad:
        message = "%s: %s" % (bad[0]["subject"], bad[0]["evidence"])
        if bad[0].get("remedy"):
            message += "; " + bad[0]["remedy"]
        if len(bad) > 1:
            message += " (and %d more)" % (len(bad) - 1)
        module.fail_json(msg=message, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
