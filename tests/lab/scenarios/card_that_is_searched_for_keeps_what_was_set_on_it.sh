# What somebody has set on a card of which the GPU is missing is as before when the GPU was searched for and found: by a rescan of its bus, and with
# the whole card removed, reset and found again. Of the GPU itself nobody knows what was set before it was gone; it has what the kernel gives it.
# machine: arc
# slots: acpiphp pciehp
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
. /lab/faults.sh
. /lab/settings.sh
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
rest="$port 0000:01:00.0 0000:02:01.0 0000:02:04.0 0000:02:05.0 $audio $usb"

say "the GPU alone is missing"
set_everything $rest
remove $gpu
hook 101 pre-start
expect_exit 0
expect_output "configured GPU missing; rescanning bus"
expect_no_output "could not be put back"
expect_bound_to_vfio $gpu $audio
expect_everything "while the guest has the GPU that was missing" $rest
hook 101 post-stop
expect_exit 0
expect_everything "after the stop of a guest whose GPU was missing"

say "the whole card has to be found again, to find the GPU"
remove $gpu
overwrite 0000:01:00.0 0x1a 02
hook 101 pre-start
expect_exit 0
expect_output "looking for the whole card below port"
expect_no_output "could not be put back"
expect_bound_to_vfio $gpu $audio
expect_everything "while the guest has the card that was found again" $rest
hook 101 post-stop
expect_exit 0
expect_everything "after the stop of a guest whose card was found again"

say "the card is reset from its port, because its bridges have lost their numbers"
set_everything $gpu
for bridge in 0000:02:01.0 0000:02:04.0 0000:02:05.0 0000:01:00.0; do
    overwrite $bridge 0x19 01
    overwrite $bridge 0x1a 01
done
hook 101 pre-start
expect_exit 0
expect_no_output "could not be put back"
expect_bound_to_vfio $gpu $audio
expect_everything "while the guest has the card whose numbers were lost" $rest $gpu
hook 101 post-stop
expect_exit 0
expect_everything "after the stop of a guest whose card had lost its numbers"
