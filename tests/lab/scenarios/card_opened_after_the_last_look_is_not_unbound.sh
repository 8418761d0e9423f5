# The hook has looked who uses the guest's three cards and is at the unbind of the first one. Meanwhile somebody opens another
# one's group, and then its device: it is seen before that card is unbound, and nothing is reset.
# machine: eight_cards
# timeout: 200
# turn: 2
. /lab/faults.sh
pve_host
echo '{ "parallel": 1 }' | settings
for n in 1 2 3; do echo "hostpci$n: 0000:0$n:00"; done | conf 101
unbind_file=/sys/bus/pci/drivers/vfio-pci/unbind
opened_meanwhile() { # group|device
    hook 101 pre-start
    expect_exit 0
    for n in 1 2 3; do dirty 0000:0$n:00.2; done
    stop_at $unbind_file
    cell_fault="opened meanwhile ($1)"
    start_hook late 101 pre-start
    wait_until_stopped
    case $1 in
    group) hold user group "$(group_of 0000:03:00.0)" ;;
    device) hold_vfio 0000:03:00.0 ;;
    esac
    go_on $unbind_file 0000:01:00.0
    wait_hook late
    expect_exit 1
    expect_output "'0000:03:00.0' is in use by"
    expect_driver 0000:03:00.0 vfio-pci
    for n in 1 2 3; do expect_still_dirty 0000:0$n:00.2; done
    case $1 in
    group) release user ;;
    device) release 0000:03:00.0 ;;
    esac
    expect_host_as_before
}
opened_meanwhile group
opened_meanwhile device
