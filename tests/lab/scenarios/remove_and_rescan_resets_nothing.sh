# Removing a card from the bus and scanning it in again does not reset it: the negative control of the witness.
# machine: arc
# slots: acpiphp pciehp
dirty 0000:05:00.0
remove 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_absent 0000:03:00.0 0000:04:00.0 0000:05:00.0
rescan 0000:03 0000:04 0000:05
expect_present 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_driver 0000:03:00.0 bochs-drm
expect_still_dirty 0000:05:00.0
