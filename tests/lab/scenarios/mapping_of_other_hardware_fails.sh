# The mapping names another device than the one that is there: Proxmox would refuse the start, so nothing is touched.
# machine: arc
pve_host
printf 'gpu\n\tmap id=8086:56a6,iommugroup=%s,node=lab,path=0000:03:00.0,subsystem-id=1af4:1100\n\n' "$(group_of 0000:03:00.0)" | mapping
echo "hostpci0: mapping=gpu" | conf 101
dirty_card 0000:05:00.0
remember 0000:03:00.0
hook 101 pre-start
expect_exit 1
expect_output 8086:56a6
expect_untouched 0000:03:00.0
expect_still_dirty 0000:05:00.0
