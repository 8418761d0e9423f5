# Each of a guest's eight cards is held in the write that resets it: all eight are in there together, and with 'parallel' 3 three.
# machine: eight_cards
# slots: acpiphp pciehp
# timeout: 300
# turn: 4
. /lab/faults.sh
. /lab/eight_cards.sh
pve_host
ports='8 9 a b c d e f'
cards_for 101 $all_cards
in_the_write() { grep -ls fifo_open /proc/[0-9]*/stack | wc -l; }
reset_at_once() { # NUMBER
    local port file
    dirty_cards $all_cards
    for port in $ports; do
        mkfifo "$lab_run/held-$port"
        mount --bind "$lab_run/held-$port" /sys/bus/pci/devices/0000:00:0$port.0/reset_subordinate
    done
    cell_fault="held in the reset"
    start_hook many 101 pre-start
    wait_until_stopped
    sleep 3
    expect_equal "cards in their reset at once" "$1" "$(in_the_write)"
    # Each has its effect before its writer goes on: a reset that ran beside the removal of what it resets is a kernel's own crash.
    for port in $ports; do
        file=/sys/bus/pci/devices/0000:00:0$port.0/reset_subordinate
        echo 1 >/lab$file
        cat "$lab_run/held-$port" >/dev/null &
    done
    wait_hook many
    expect_exit 0
    expect_output "recovered 8 GPUs in"
    for port in $ports; do
        umount /sys/bus/pci/devices/0000:00:0$port.0/reset_subordinate
        rm "$lab_run/held-$port"
    done
    expect_cards $all_cards
    expect_host_as_before
}
reset_at_once 8
echo '{ "parallel": 3 }' | settings
reset_at_once 3
