# Of a mapping's two alternatives the one that runs in a VM is skipped and not touched; the other one is recovered.
# machine: two_arcs
# slots: acpiphp pciehp
# core: yes
pve_host
printf 'gpu\n\tmap id=1234:1111,iommugroup=%s,node=lab,path=0000:03:00.0,subsystem-id=1af4:1100\n\tmap id=1234:1111,iommugroup=%s,node=lab,path=0000:08:00.0,subsystem-id=1af4:1100\n\n' \
    "$(group_of 0000:03:00.0)" "$(group_of 0000:08:00.0)" | mapping
echo "hostpci0: mapping=gpu" | conf 101
echo "hostpci0: mapping=gpu" | conf 102
dirty_card 0000:05:00.0 0000:0a:00.0
to_vfio 0000:03:00.0
hold_vfio 0000:03:00.0
holder_pid 0000:03:00.0 >/run/qemu-server/101.pid
reserve 0000:03:00.0 101 "pid:$(holder_pid 0000:03:00.0)"
remember 0000:03:00.0
hook 102 pre-start
expect_exit 0
expect_clean 0000:0a:00.0
expect_bound_to_vfio 0000:08:00.0
expect_still_dirty 0000:05:00.0
expect_untouched 0000:03:00.0
release 0000:03:00.0
