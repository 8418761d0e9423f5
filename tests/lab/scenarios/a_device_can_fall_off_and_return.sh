# A removed function that QEMU unplugs is not found by a rescan, and is found again after it was plugged in.
# machine: arc
# slots: acpiphp pciehp
remove 0000:03:00.0
expect_absent 0000:03:00.0
unplug gpu0
rescan 0000:03
expect_absent 0000:03:00.0
plug gpu0 driver=secondary-vga bus=gpu_port0
rescan 0000:03
wait_until 20 present 0000:03:00.0 || fail "the GPU did not return"
expect_bars_assigned 0000:03:00.0
