# A process that opens a device through vfio-pci makes `enable` 1; opening the group alone does not.
# machine: arc
to_vfio 0000:03:00.0
expect_driver 0000:03:00.0 vfio-pci
expect_not_open 0000:03:00.0

hold group_only group "$(group_of 0000:03:00.0)"
expect_not_open 0000:03:00.0
release group_only

hold_vfio 0000:03:00.0
expect_open 0000:03:00.0
release 0000:03:00.0
expect_not_open 0000:03:00.0
