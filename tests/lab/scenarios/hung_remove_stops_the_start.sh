# The remove of the GPU hangs in the kernel: the start fails within the deadline and its output ends at once.
# machine: arc
pve_host
settings <<'JSON'
{ "timeouts": { "remove": 3 } }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
hang_writes /sys/bus/pci/devices/0000:03:00.0/remove
hook 101 pre-start
expect_exit 1
expect_no_waiting
expect_within 40000
expect_output 0000:03:00.0
expect_present 0000:03:00.0
expect_host_as_before
thaw_writes
real_writes /sys/bus/pci/devices/0000:03:00.0/remove
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
