# The audio function of the card runs in another VM: the card is not reset and the audio not touched.
# machine: arc
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
to_vfio 0000:04:00.0
hold_vfio 0000:04:00.0
remember 0000:04:00.0
hook 101 pre-start
expect_exit 0
expect_untouched 0000:04:00.0
expect_open 0000:04:00.0
expect_still_dirty 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0
expect_output 0000:04:00.0
release 0000:04:00.0
