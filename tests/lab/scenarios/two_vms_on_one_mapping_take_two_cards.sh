# Two VMs with the same mapping start at the same moment: each gets a card of its own, also in the time between the end of
# a hook and QEMU's opening of the device.
# machine: two_arcs
pve_host
printf 'gpu\n\tmap id=1234:1111,iommugroup=%s,node=lab,path=0000:03:00.0,subsystem-id=1af4:1100\n\tmap id=1234:1111,iommugroup=%s,node=lab,path=0000:08:00.0,subsystem-id=1af4:1100\n\n' \
    "$(group_of 0000:03:00.0)" "$(group_of 0000:08:00.0)" | mapping
echo "hostpci0: mapping=gpu" | conf 101
echo "hostpci0: mapping=gpu" | conf 102
dirty_card 0000:05:00.0 0000:0a:00.0
lab_start_options=--stay
start_hook first 101 pre-start
start_hook second 102 pre-start
wait_hook first
expect_exit 0
wait_hook second
expect_exit 0
expect_clean 0000:05:00.0 0000:0a:00.0
expect_bound_to_vfio 0000:03:00.0 0000:08:00.0

# Both parents live and nothing is open yet: both cards are spoken for.
lab_start_options=
echo "hostpci0: mapping=gpu" | conf 103
dirty 0000:05:00.0 0000:0a:00.0
hook 103 pre-start
expect_exit 1
expect_file_says /run/pve-gpu-hook/103.json in-use
expect_still_dirty 0000:05:00.0 0000:0a:00.0

# The first start is given up: its card is free for the third VM, the other one is not touched.
end_parent first
hook 103 pre-start
expect_exit 0
case $(witness_of 0000:05:00.0)/$(witness_of 0000:0a:00.0) in
0x00000000/0x0000002a | 0x0000002a/0x00000000) ;;
*) fail "exactly one card should have been reset, witnesses are $(witness_of 0000:05:00.0) and $(witness_of 0000:0a:00.0)" ;;
esac
end_parent second
