# A VM of a real Incus gets a card by its devices: the GPU by `gpu`, the audio on a bus of its own by `pci`. The guest sees both, and
# vfio-pci has them open. Nothing of that resets the card, whose third function keeps what was left in it. Afterwards each function is
# with the driver it came from, and its driver_override names that.
# machine: arc
# incus: yes
# kernels: 6.12
# turn: 4
. /lab/incus.sh
gpu=0000:03:00.0 audio=0000:04:00.0 usb=0000:05:00.0
dirty "$usb"
to_vfio "$audio"
incus_vm web '"gpu": {"type": "gpu", "gputype": "physical", "pci": "0000:03:00.0"}, "audio": {"type": "pci", "address": "04:00.0"}'
incus_start web || fail "the VM does not start: $incus_error"
vm_says web ready
sed 's/^/    | /' "$vm_directory/web.said"
expect_guest_sees web "1234:1111 class 0380"
expect_guest_sees web "8086:2668 class 0403"
expect_bound_to_vfio "$gpu" "$audio"
expect_open "$gpu"
expect_open "$audio"
expect_incus_status web Running
expect_still_dirty "$usb"

incus_stop web || fail "the VM does not stop: $incus_error"
expect_incus_status web Stopped
expect_driver "$gpu" bochs-drm
expect_driver "$audio" vfio-pci
expect_equal "the GPU's driver_override" bochs-drm "$(cat "$devices/$gpu/driver_override")"
expect_not_open "$audio"
expect_still_dirty "$usb"
