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
  cluster:
    description:
      - Return C(guests) instead, which of the cluster's guests with a GPU would start on this node, and why not.
      - A guest of another node is looked at as if it were here. With C(vms) or C(containers) only these.
    type: bool
    default: false
  fail_on:
    description: From which verdict on the task fails. It does not go with C(cluster).
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

- name: See which guests would start on this node
  pvegpu.hook.pve_gpu_check:
    cluster: true

- name: Show what to do
  ansible.builtin.debug:
    msg: "{{ item.subject }}: {{ item.evidence }}; {{ item.remedy }}"
  loop: "{{ checked.findings }}"
"""

RETURN = r"""
guests:
  description: Each guest of the cluster that is passed a device or given a GPU's device nodes, with what keeps it from a start on this node.
  returned: with C(cluster=true)
  type: list
  elements: dict
  sample:
    - vmid: 102
      type: vm
      name: games
      node: pve2
      asked: pve1
      starts: false
      in_the_way:
        - what: "/etc/pve/nodes/pve2/qemu-server/102.conf: hostpci0: the mapping 'gpu' has no entry of the node 'pve1'"
          remedy: add one under Datacenter > Resource Mappings
node:
  description: The node that was asked.
  returned: with C(cluster=true)
  type: str
  sample: pve1
worst:
  description: The worst verdict.
  returned: without C(cluster=true)
  type: str
  sample: warning
findings:
  description: What is not well, the worst first.
  returned: without C(cluster=true)
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
  returned: without C(cluster=true)
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
            cluster=dict(type="bool", default=False),
            fail_on=dict(type="str", choices=["never", "error", "warning"], default="never"),
        ),
        supports_check_mode=True,
    )
    words = ["check"] + guest_words(module.params)
    if module.params["cluster"]:
        if module.params["fail_on"] != "never":
            module.fail_json(msg="'fail_on' does not go with 'cluster: true': a guest need not be able to start on every node")
        answer = ask(module, words + ["--cluster"])[1]
        guests = [dict(guest, asked=answer["node"]) for guest in answer["guests"]]
        module.exit_json(changed=False, node=answer["node"], guests=guests)
    answer = ask(module, words)[1]
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
