# The device does not come back as it was: late, gone, as another one, with other BARs, dead. QEMU's monitor plugs and unplugs.
# machine: arc_and_slot
# timeout: 600
# turn: 4
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
step_seconds=20
. /lab/faults.sh
# Without the native driver: a secondary-vga that has shown something cannot be plugged in a second time.
unbind $gpu 0000:06:00.0
rmmod bochs
to_native() {
    unbind $gpu
    echo >$devices/$gpu/driver_override
}
fault_host
short_waits() {
    settings <<JSON
{ "timeouts": { "reappear": 2, "reset": 3, "rescan": 20, "total": 60 }, "on_timeout": "fail" }
JSON
}
short_waits
# The second rung would be stopped too.
let_rescan_go_on() { go_on "$(file_of rescan)" 1; }
# The right one again; the next start looks for it.
replug() {
    remove $gpu
    unplug "$1"
    plug "$2" driver=secondary-vga bus=gpu_port0
}

begin_cell "device comes back late" "found by a rescan a second after the hook's"
lying_writes "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until 20 absent $gpu || fail "the GPU was not removed"
other_pci_work
rescan $bus
wait_hook faulty
after_fault
expect_answer 0 2000
expect_work "goes on"
real_writes "$(file_of rescan)"
second_run
end_cell

begin_cell "device is gone" "unplugged by QEMU while it is off the bus"
stop_at "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until_stopped
unplug gpu0
began=$(uptime_ms)
let_rescan_go_on
wait_hook faulty
after_fault
cell_ms=$(($(uptime_ms) - began)) # since it was gone
expect_answer 1 4000
expect_output "power-cycle the host"
other_pci_work
expect_work "goes on"
plug gpu2 driver=secondary-vga bus=gpu_port0
second_run
end_cell

begin_cell "device comes back with another id" "another model plugged in by QEMU"
stop_at "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until_stopped
unplug gpu2
plug gpu3 driver=edu bus=gpu_port0 # QEMU plugs in no other GPU than this one
began=$(uptime_ms)
let_rescan_go_on
wait_hook faulty
after_fault
cell_ms=$(($(uptime_ms) - began))
expect_answer 1 0
expect_output "came back as 1234:11e8"
other_pci_work
expect_work "goes on"
replug gpu3 gpu4
second_run
end_cell

begin_cell "device comes back with a smaller BAR" "a model with less memory plugged in by QEMU"
stop_at "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until_stopped
unplug gpu4
plug gpu5 driver=secondary-vga bus=gpu_port0 vgamem_mb=8
began=$(uptime_ms)
let_rescan_go_on
wait_hook faulty
after_fault
cell_ms=$(($(uptime_ms) - began))
expect_answer 0 0
expect_output "BAR 0 is 8 MiB instead of 16 MiB"
other_pci_work
expect_work "goes on"
replug gpu5 gpu6
second_run
end_cell

# Bridge Control of the port above the card, by hand: the switch on the card loses its bus numbers, and all below reads ff.
raw_bus_reset() {
    local control
    control=$((0x$(xxd -s 62 -l 1 -p $devices/$port/config)))
    printf "\\x$(printf %02x $((control | 0x40)))" | dd of=$devices/$port/config bs=1 seek=62 conv=notrunc 2>/dev/null
    usleep 5000
    printf "\\x$(printf %02x $control)" | dd of=$devices/$port/config bs=1 seek=62 conv=notrunc 2>/dev/null
    usleep 100000
}

begin_cell "configuration space reads all ones before the start" "the card's switch lost its bus numbers"
unbind $gpu $audio
raw_bus_reset
expect_equal "vendor in the GPU's config" ffff "$(xxd -l 2 -p $devices/$gpu/config)"
hook 101 pre-start
after_fault
expect_answer 0 5000
other_pci_work
expect_work "goes on"
dirty $usb
second_run
end_cell

begin_cell "configuration space reads all ones after the reset" "the card's switch loses its bus numbers"
stop_at "$(file_of reset)"
start_hook faulty 101 pre-start
wait_until_stopped
raw_bus_reset
go_on "$(file_of reset)"
wait_hook faulty
after_fault
expect_answer 0 7000
other_pci_work
expect_work "goes on"
dirty $usb
second_run
end_cell

begin_cell "header type 7f before the start" "a plain file in the place of config"
cp $devices/$gpu/config "$lab_run/config"
printf '\177' | dd of="$lab_run/config" bs=1 seek=14 conv=notrunc 2>/dev/null
mount --bind "$lab_run/config" /sys/bus/pci/devices/$gpu/config
hook 101 pre-start
after_fault
expect_answer 0 0
other_pci_work
expect_work "goes on"
real_writes /sys/bus/pci/devices/$gpu/config
second_run
end_cell
