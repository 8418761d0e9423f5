# The unbind of the GPU hangs in the kernel: the start fails when the deadline has passed, names the stuck child, and its
# output ends at once although the child is still there.
# machine: arc
pve_host
settings <<'JSON'
{ "timeouts": { "unbind": 3 } }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
hang_writes /sys/bus/pci/drivers/bochs-drm/unbind
hook 101 pre-start
expect_exit 1
expect_no_waiting
expect_within 40000
expect_output 0000:03:00.0
expect_present 0000:03:00.0
expect_driver 0000:03:00.0 bochs-drm
expect_still_dirty 0000:05:00.0
expect_file_says /run/pve-gpu-hook/101.json failed
expect_host_as_before

# Thawed, the same start goes through.
thaw_writes
real_writes /sys/bus/pci/drivers/bochs-drm/unbind
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
expect_clean 0000:05:00.0
