# What others do to the host while the hook works.
# machine: arc_and_slot
# slots: pciehp
# timeout: 600
# turn: 4
step_seconds=12
. /lab/faults.sh
fault_host
others_gpu=0000:06:00.0

# Somebody else has switched it off, and it stays so: a function of the card that the guest does not get has its driver all the same.
begin_cell "drivers_autoprobe was 0 before" "written by another program"
echo 0 >$sys/bus/pci/drivers_autoprobe
hook 101 pre-start
after_fault
expect_answer 0 0
wait_until 10 has_driver $audio snd_hda_intel || fail "$audio has no driver"
other_pci_work
expect_work "goes on"
echo 1 >$sys/bus/pci/drivers_autoprobe
second_run
end_cell

begin_cell "a twin of the card has no driver" "the other card, of the same model"
unbind $others_gpu
hook 101 pre-start
after_fault
expect_answer 0 0
expect_driver $others_gpu none
other_pci_work
expect_work "goes on"
echo $others_gpu >$sys/bus/pci/drivers/bochs-drm/bind
second_run
end_cell

begin_cell "udev loads the native module during the rescan" "insmod as soon as the GPU is found"
unbind $gpu $others_gpu
rmmod bochs
(
    until absent $gpu; do :; done
    until present $gpu; do :; done
    load_module bochs
) &
loader=$!
hook 101 pre-start
wait $loader
after_fault
expect_answer 0 0
expect_bound_to_vfio $gpu
other_pci_work
expect_work "goes on"
[ "$(driver_of $others_gpu)" != none ] || echo $others_gpu >$sys/bus/pci/drivers/bochs-drm/bind
second_run
end_cell

conf 102 <<CONF
hostpci0: $others_gpu
CONF
begin_cell "two guests start at once, a card each" "two hooks"
start_hook other 102 pre-start
hook 101 pre-start
after_fault
expect_answer 0 3000
wait_hook other
expect_exit 0
expect_bound_to_vfio $gpu $others_gpu
hook 102 post-stop
unbind $others_gpu
for each in 0000:06:00.0 0000:06:00.1; do
    unbind $each
    echo >$devices/$each/driver_override
    echo $each >$sys/bus/pci/drivers_probe
done
[ "$(driver_of $others_gpu)" = bochs-drm ] || { unbind $others_gpu; echo $others_gpu >$sys/bus/pci/drivers/bochs-drm/bind; }
wait_until 10 others_card_is_back || :
other_pci_work
expect_work "goes on"
second_run
end_cell

conf 103 <<CONF
hostpci0: $gpu
CONF
begin_cell "two guests want the card at once" "two hooks"
lab_start_options=--stay
start_hook other 103 pre-start
lab_start_options=
wait_until 20 test -e /run/pve-gpu-hook/claims/103.json || fail "VM 103 has no claim"
hook 101 pre-start
after_fault
expect_answer 1 0
expect_output "VM 103"
other_pci_work
expect_work "goes on"
end_parent other
hook 103 post-stop
to_native
second_run
end_cell
