# What tests/lab/try shows: a dirty card before, the hook, the card after.
# machine: two_arcs
# slots: pciehp
# load-first: native
show() { echo "show: $*"; }
show_card() {
    local each
    for each in 0000:03:00.0 0000:04:00.0 0000:05:00.0 0000:0a:00.0; do
        case $each in
        0000:03:00.0) what="GPU" ;;
        0000:04:00.0) what="audio" ;;
        0000:05:00.0) what="USB controller, register $(witness_of "$each")" ;;
        *) what="the card beside it, register $(witness_of "$each")" ;;
        esac
        show "  $each  driver $(driver_of "$each")  $what"
    done
}
pve_host
conf 101 <<'C'
hostpci0: 0000:03:00.0,pcie=1
hostpci1: 0000:04:00.0,pcie=1
C
dirty_card 0000:05:00.0
dirty 0000:0a:00.0

show ""
show "Linux $(uname -r). An Arc-like card: GPU, audio and USB controller below a switch on the card, no function-level"
show "reset. A register that only a reset clears was set to 0x2a, as a VM would leave a card dirty; removing and"
show "finding the device again has left it at 0x2a:"
show ""
show_card
show ""
show "/etc/pve/qemu-server/101.conf:"
sed 's/^/show:   /' /etc/pve/qemu-server/101.conf
show ""
show "# pve-gpu-hook --dry-run 101 pre-start"
pve-gpu-hook --dry-run 101 pre-start 2>&1 | sed 's/^/show: /'
show ""
show "# pve-gpu-hook 101 pre-start          (as Proxmox runs it)"
hook 101 pre-start
last_output | sed 's/^/show: /'
show ""
show_card
expect_exit 0
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_clean 0000:05:00.0
expect_still_dirty 0000:0a:00.0
