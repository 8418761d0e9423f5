# What somebody has set on the GPU, on the rest of its card and on its ports is as before when the card was reset and found again: by a start, by a
# start and a stop that were killed on the way and the ones after them, and when the card is the host's again. While a guest has the card it is
# kept awake, and nothing else is different.
# machine: arc
# slots: acpiphp pciehp
# turn: 2
. /lab/faults.sh
. /lab/settings.sh
pve_host
settings <<'JSON'
{ "after_stop": "native" }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
card="$port 0000:01:00.0 0000:02:01.0 0000:02:04.0 0000:02:05.0 $gpu $audio $usb"

# The negative control: the kernel forgets all of it.
set_everything $gpu
remove $gpu
rescan $bus
while read -r each file value; do
    [ "$(cat $devices/$each/$file)" != "$value" ] || fail "$each/$file is still '$value' after remove and rescan alone: there is nothing to show"
done <$lab_run/settings

forget_settings
set_everything $card
hook 101 pre-start
expect_exit 0
expect_no_output "could not be put back"
expect_bound_to_vfio $gpu $audio
expect_everything "after a start" $card
hold_vfio $gpu
expect_everything "while the guest has it" $card
release $gpu
hook 101 post-stop
expect_exit 0
expect_driver $gpu bochs-drm
expect_everything "after the stop"

# killed_at PHASE PATH
killed_at() {
    cell_fault="$1 that is killed at $2"
    stop_at $2
    start_hook killed 101 $1
    wait_until_stopped
    kill -9 $(pidof pve-gpu-hook)
    wait_hook killed
    expect_killed_by 9
    umount -l $2
}
for at in pre-start:/sys/bus/pci/devices/$audio/remove pre-start:/sys/class/pci_bus/$bus/rescan \
    post-stop:/sys/bus/pci/devices/$port/reset_subordinate post-stop:/sys/bus/pci/drivers_probe; do
    case $at in post-stop:*) hook 101 pre-start && expect_exit 0 ;; esac
    killed_at ${at%%:*} ${at#*:}
    hook 101 pre-start
    expect_exit 0
    expect_no_output "could not be put back"
    expect_bound_to_vfio $gpu $audio
    expect_everything "after a ${at%%:*} that was killed at ${at#*:}" $card
    hook 101 post-stop
    expect_exit 0
    expect_everything "after the stop that follows one killed at ${at#*:}"
done

say "without giving it back"
settings <<'JSON'
{}
JSON
hook 101 pre-start
expect_exit 0
hook 101 post-stop
expect_exit 0
expect_bound_to_vfio $gpu $audio
expect_everything "after a stop that leaves the card on vfio-pci"
expect_host_as_before

# By this policy the kernel turns a link's states on when a driver enables the device, and until then the switch says what it says where
# somebody has turned them off: which of the two it was is seen when a guest has the card.
say "a link of which nobody has chosen anything, and no driver has enabled its device"
echo "$(cut -c3- $devices/$gpu/vendor) $(cut -c3- $devices/$gpu/device)" >$sys/bus/pci/drivers/vfio-pci/new_id
remove $gpu
rescan $bus
expect_bound_to_vfio $gpu
expect_equal "the switch before" 0 "$(cat $devices/$gpu/link/l0s_aspm)"
hook 101 pre-start
expect_exit 0
hold_vfio $gpu
expect_equal "the switch of a link that the kernel may let sleep" 1 "$(cat $devices/$gpu/link/l0s_aspm)"
release $gpu
say "and one that somebody has turned off since"
echo 0 >$devices/$gpu/link/l0s_aspm
hook 101 pre-start
expect_exit 0
hold_vfio $gpu
expect_equal "the switch of a link that may not sleep" 0 "$(cat $devices/$gpu/link/l0s_aspm)"
release $gpu
expect_equal "nothing of ours has the GPU enabled" 0 "$(cat $devices/$gpu/enable)"
