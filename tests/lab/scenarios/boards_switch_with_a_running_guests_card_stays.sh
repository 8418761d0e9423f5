# A switch of the board with two cards, and the guest with the second one runs. The first is recovered below its own port. When the switch loses
# its bus numbers nothing below it can be reached, and only all of it could be found anew: the start says so and touches nothing, with the first
# card's functions gone or still known, and with or without our notes of it. A reboot of the host, which numbers the buses anew, is the cure.
# machine: two_on_a_switch
# slots: acpiphp pciehp
# qemu: yes
# turn: 2
. /lab/vm.sh
pve_host
echo "hostpci0: 0000:03:00" | conf 101
conf 102 <<CONF
$hook_line
hostpci0: 0000:04:00
CONF
others="0000:04:00.0 0000:04:00.1 0000:04:00.2"
dirty_card 0000:03:00.2
start_vm 102
# shellcheck disable=SC2086 # a list
remember $others
# shellcheck disable=SC2086
still_runs() {
    expect_untouched $others
    expect_untouched 0000:01:00.0 0000:02:04.0
    vm_do 102 w
    vm_says 102 "witness 0000002a" "$1"
}
remember 0000:01:00.0 0000:02:04.0
vm_do 102 d
vm_says 102 "witness 0000002a" 1

say "the first card"
hook 101 pre-start
expect_exit 0
expect_clean 0000:03:00.2
still_runs 2

say "the switch has lost its numbers, and the first card's functions are gone"
remove 0000:03:00.0 0000:03:00.1 0000:03:00.2
overwrite 0000:01:00.0 0x1a 02
hook 101 pre-start
expect_exit 1
expect_output "bridge '0000:01:00.0' above the card has lost its bus numbers"
expect_output "reboot the host"
still_runs 3

say "and nobody has noted the card"
mv /run/pve-gpu-hook/cards "$lab_run/cards"
hook 101 pre-start
expect_exit 1
expect_output "'0000:01:00.0' is on the graphics card or on the board"
expect_output "reboot the host"
still_runs 4
mv "$lab_run/cards" /run/pve-gpu-hook/cards

say "as after a reboot"
overwrite 0000:01:00.0 0x1a 04
hook 101 pre-start
expect_exit 0

say "the switch has lost its numbers, and the first card's functions are known"
dirty 0000:03:00.2
overwrite 0000:01:00.0 0x1a 02
remember 0000:03:00.0
hook 101 pre-start
expect_exit 1
expect_output "bridge '0000:01:00.0' above the card has lost its bus numbers"
expect_no_output "power-cycle"
expect_untouched 0000:03:00.0
still_runs 5
overwrite 0000:01:00.0 0x1a 04
hook 101 pre-start
expect_exit 0
expect_clean 0000:03:00.2
still_runs 6
vm_stop 102
