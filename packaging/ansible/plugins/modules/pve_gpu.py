#!/usr/bin/python
# Copyright 2026 the pve-gpu-hook authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: pve_gpu
short_description: Prepare a Proxmox VE host for GPU passthrough and attach pve-gpu-hook to guests
version_added: 1.0.0
description:
  - Does what C(pve-gpu-install) does on the host that it runs on, as root. Everything that it changes can be taken back exactly.
  - A guest's PCI addresses are not given here. They stand in its C(hostpci) lines or in a resource mapping.
  - It never reboots. C(reboot_needed) says whether the host has to be.
options:
  state:
    description:
      - With C(present) the host is prepared and the hook attached to C(vms) and C(containers).
      - With C(absent) the hook is detached from C(vms) and C(containers), which get back what they had. With C(host=true)
        and no guest everything that was ever changed on this host is undone.
    type: str
    choices: [present, absent]
    default: present
  vms:
    description: VMIDs of virtual machines of this node.
    type: list
    elements: int
    default: []
  containers:
    description: VMIDs of containers of this node.
    type: list
    elements: int
    default: []
  host:
    description:
      - With C(state=present) prepare the host for every VM that has a GPU, and attach nothing.
      - With C(state=absent) undo everything that was changed on this host.
      - No guest is named beside it.
    type: bool
    default: false
  gpus:
    description:
      - The containers' GPUs, C(0) as in C(/dev/nvidia0), or PCI addresses.
      - Without it the only one of the host.
    type: list
    elements: str
    default: []
  mig:
    description: The containers' MIG instances on a divided NVIDIA GPU, as in C(1/0).
    type: list
    elements: str
    default: []
  replace_hard_coded:
    description: Replace a container's lines with device numbers by devN entries.
    type: bool
    default: false
  blacklist:
    description: Also blacklist the native drivers of the VMs' GPUs.
    type: bool
    default: false
  guest_reboot:
    description:
      - What becomes of the card when a VM's guest reboots by itself.
      - Without it C(clean) where the card has no reset of its own.
    type: str
    choices: [clean, leave]
attributes:
  check_mode:
    description: Says what would change, by a dry run of the program, and changes nothing.
    support: full
  diff_mode:
    description: Returns the differences of all files that change, or would change.
    support: full
seealso:
  - module: pvegpu.hook.pve_gpu_info
  - module: pvegpu.hook.pve_gpu_check
author:
  - the pve-gpu-hook authors (@pve-gpu-hook)
extends_documentation_fragment:
  - pvegpu.hook.program
"""

EXAMPLES = r"""
- name: Prepare the host and attach the hook to VM 101
  pvegpu.hook.pve_gpu:
    vms: [101]

- name: Give container 901 the first GPU
  pvegpu.hook.pve_gpu:
    containers: [901]
    gpus: ["0"]

- name: Give VM 101 back the hookscript that it had
  pvegpu.hook.pve_gpu:
    state: absent
    vms: [101]

- name: Undo everything on this host
  pvegpu.hook.pve_gpu:
    state: absent
    host: true
"""

RETURN = r"""
changes:
  description: Each file and program, with the reason, the difference, and how it is undone.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: file
      path: /etc/modules-load.d/pve-gpu-hook.conf
      reason: so that vfio-pci is there before the first guest starts
reboot_needed:
  description: Whether the host has to be rebooted for it.
  returned: success
  type: bool
  sample: true
reboot_reasons:
  description: Why.
  returned: success
  type: list
  elements: str
  sample: ["the host's driver 'i915' has '0000:03:00.0' (8086:56a6); after a reboot vfio-pci comes first"]
notes:
  description: What the program remarked.
  returned: success
  type: list
  elements: str
  sample: []
reason:
  description: Why it failed, in one of a few words.
  returned: failure
  type: str
  sample: not-found
answer:
  description: All that the program answered.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pvegpu.hook.plugins.module_utils.installer import (
    REBOOT_NEEDED,
    ask,
    guest_options,
    guest_words,
    is_installed,
)


def words_of(params):
    guests = guest_words(params)
    if params["state"] == "absent":
        return ["detach"] + guests if guests else ["uninstall"]
    words = ["install"] + guests
    if params["host"]:
        words.append("--host")
    for key in ("gpus", "mig"):
        if params[key]:
            words += ["--" + key.rstrip("s"), ",".join(params[key])]
    for key in ("replace_hard_coded", "blacklist"):
        if params[key]:
            words.append("--" + key.replace("_", "-"))
    if params["guest_reboot"]:
        words += ["--guest-reboot", params["guest_reboot"]]
    return words


def differences(answer):
    return [
        dict(prepared=change["diff"])
        for change in answer.get("changes", [])
        if change.get("diff")
    ]


def main():
    module = AnsibleModule(
        argument_spec=dict(
            guest_options(),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            host=dict(type="bool", default=False),
            gpus=dict(type="list", elements="str", default=[]),
            mig=dict(type="list", elements="str", default=[]),
            replace_hard_coded=dict(type="bool", default=False),
            blacklist=dict(type="bool", default=False),
            guest_reboot=dict(type="str", choices=["clean", "leave"]),
        ),
        supports_check_mode=True,
    )
    params = module.params
    guests = params["vms"] or params["containers"]
    if not guests and not params["host"]:
        module.fail_json(msg="name 'vms' or 'containers', or set 'host: true'")
    if guests and params["host"]:
        module.fail_json(msg="'host: true' is about the host alone; name no guest beside it")
    if not is_installed():
        if params["state"] == "absent":
            module.exit_json(changed=False, changes=[], reboot_needed=False, reboot_reasons=[], notes=[])
        if module.check_mode:
            module.warn("the package pve-gpu-hook is not installed, so what it would change is not known yet")
            module.exit_json(changed=True, changes=[], reboot_needed=False, reboot_reasons=[], notes=[])
    status, answer = ask(module, words_of(params) + ["--dry-run" if module.check_mode else "--yes"])
    for warning in answer.get("warnings", []):
        module.warn(warning)
    result = dict(
        changed=answer["changed"],
        changes=answer["changes"],
        notes=answer["notes"],
        reboot_needed=answer["reboot_needed"] or status == REBOOT_NEEDED,
        reboot_reasons=answer["reboot_reasons"],
    )
    if module._diff:
        result["diff"] = differences(answer)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
