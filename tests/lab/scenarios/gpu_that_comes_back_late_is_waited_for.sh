# The GPU is not there when the rescan returns, but some seconds later: it is waited for, and bound.
# machine: arc
pve_host
settings <<'JSON'
{ "timeouts": { "reappear": 30 } }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
lying_writes /sys/class/pci_bus/0000:03/rescan
start_hook late 101 pre-start
wait_until 60 absent 0000:03:00.0 || fail "the GPU was not removed"
# How late it is, is what this scenario is about.
sleep 3
rescan 0000:03
wait_hook late
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
expect_bars_assigned 0000:03:00.0
expect_clean 0000:05:00.0
expect_host_as_before
