# A reset at the port above a card of one slot clears all of its functions, and the card beside it is not touched.
# machine: two_slots
# slots: acpiphp pciehp
# core: yes
dirty 0000:01:00.2 0000:02:00.2
unbind 0000:01:00.0 0000:01:00.1 0000:01:00.2
echo 1 >$devices/0000:00:1c.0/reset_subordinate
remove 0000:01:00.0 0000:01:00.1 0000:01:00.2
rescan 0000:01
expect_present 0000:01:00.0 0000:01:00.1 0000:01:00.2
expect_bars_assigned 0000:01:00.0
expect_clean 0000:01:00.2
expect_still_dirty 0000:02:00.2
expect_driver 0000:02:00.0 bochs-drm
