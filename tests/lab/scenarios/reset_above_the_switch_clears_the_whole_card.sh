# A reset at the port above an Arc-like card clears it; the functions come back, and the card beside it is not touched.
# machine: two_arcs
# slots: acpiphp pciehp
dirty 0000:05:00.0 0000:0a:00.0
bars=$(assigned_bars 0000:03:00.0)

unbind 0000:03:00.0 0000:04:00.0 0000:05:00.0
echo 1 >$devices/0000:00:1c.0/reset_subordinate
remove 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_absent 0000:03:00.0 0000:04:00.0 0000:05:00.0
rescan 0000:03 0000:04 0000:05

expect_present 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_bars_assigned 0000:03:00.0
expect_equal "BARs of the GPU" "$bars" "$(assigned_bars 0000:03:00.0)"
expect_clean 0000:05:00.0

expect_still_dirty 0000:0a:00.0
expect_driver 0000:08:00.0 bochs-drm
expect_driver 0000:09:00.0 snd_hda_intel
