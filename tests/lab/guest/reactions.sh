# What the kernel changes in sysfs when something is written to it; see tests/lab/reactions for the format.
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
sed '/^echo LAB-CAPTURE-BEGINS/,$d' /lab/capture.sh >"$lab_run/capture.sh"
. "$lab_run/capture.sh"

settled_capture() {
    usleep 700000 # snd_hda_intel probes in a work queue, and nothing tells when it is done
    capture | grep -v '^#\|/config = ' | sort >"$1" # the bytes of `config` are addresses and link states
}

# after PATH TEXT   writes, and prints which facts went and which came
after() {
    local error
    error=$({ echo "$2" >"$1"; } 2>&1) || : # printf would not tell
    error=${error##*: }
    echo "! $1 = $2${error:+ ($error)}"
    settled_capture "$lab_run/now"
    diff -U 0 "$lab_run/before" "$lab_run/now" | grep '^[-+]/' || :
    mv "$lab_run/now" "$lab_run/before"
}

gpu=0000:03:00.0 audio=0000:04:00.0 upstream=0000:01:00.0 port=0000:00:1c.0
device=/sys/bus/pci/devices driver=/sys/bus/pci/drivers bus=/sys/class/pci_bus
settled_capture "$lab_run/before"
echo LAB-CAPTURE-BEGINS
echo "# kernel $(uname -r)"
after $driver/bochs-drm/unbind $gpu
after $driver/bochs-drm/unbind $gpu
after $driver/vfio-pci/bind $gpu
after $device/$gpu/driver_override vfio-pci
after $driver/vfio-pci/bind $gpu
after $driver/vfio-pci/bind $gpu
after $device/$gpu/power/control on
after $device/$gpu/reset 1
after $device/$audio/driver/unbind $audio
after $device/$port/reset_subordinate 1
after $device/$port/reset_subordinate 2
after $device/$gpu/remove 1
after $device/$audio/remove 1
after $bus/0000:03/rescan 1
after $bus/0000:04/rescan 1
after $driver/vfio-pci/new_id "1234 1111"
after $driver/vfio-pci/new_id "1234 1111"
after $driver/vfio-pci/new_id 1234
after $device/$gpu/remove 1
after $bus/0000:03/rescan 1
after $driver/vfio-pci/remove_id "1234 1111"
after $driver/vfio-pci/remove_id "1234 1111"
after /sys/bus/pci/drivers_autoprobe 0
after $device/$upstream/remove 1
after $bus/0000:01/rescan 1
after /sys/bus/pci/drivers_probe $upstream
after /sys/bus/pci/drivers_probe 0000:99:00.0
after /sys/bus/pci/drivers_autoprobe 1
echo LAB-CAPTURE-ENDS
