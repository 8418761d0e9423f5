# A reset that takes some seconds, within its deadline, is waited for.
# machine: arc
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
slow_writes 3 /sys/bus/pci/devices/0000:00:1c.0/reset_subordinate 1
hook 101 pre-start
expect_exit 0
[ "$(last_ms exited)" -ge 2500 ] || fail "the reset was not waited for"
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0
expect_host_as_before
