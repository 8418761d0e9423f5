# Prints the sysfs facts of this machine between two marks; see tests/lab/capture for the format.

# One attribute on one line.
escaped() { sed -e 's/\\/\\\\/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 } END { if (NR) printf "\\n" }'; }
text() { echo "$1 = $(cat "$1" | escaped)"; }
# More than 64 bytes of `config` need root, all 4096 a PCI Express device.
hex() { echo "$1 = hex $(xxd -p "$1" | tr -d '\n')"; }

capture_attribute() {
    local path=$1
    case ${path##*/} in
    config) hex "$path" ;;
    resource[0-9]* | rom) echo "$path has file" ;;
    # Time and chance are no facts of the machine; sriov_numvfs is never read.
    *_time | runtime_* | wakeup* | msi_irqs | autosuspend_delay_ms | sriov_numvfs | uevent) ;;
    *)
        if [ -r "$path" ] && cat "$path" >/dev/null 2>&1; then
            # Debian's kernels make some files 0200 or 0220: root reads them and gets nothing or an error.
            case $(stat -c %A "$path") in
            ?r*) text "$path" ;;
            *) echo "$path has file" ;;
            esac
        else
            echo "$path has file"
        fi
        ;;
    esac
}

# The files and links directly in a directory.
capture_directory() {
    local directory=$1 path
    for path in "$directory"/*; do
        if [ -L "$path" ]; then
            echo "$path -> $(readlink "$path")"
        elif [ -f "$path" ]; then
            capture_attribute "$path"
        fi
    done
}

capture() {
    echo "# kernel $(uname -r)"
    echo "# vfio-pci was registered $([ "$lab_first" = native ] && echo after || echo before) the native drivers"
    for path in /sys/bus/pci/devices/*; do echo "$path -> $(readlink "$path")"; done
    for path in /sys/bus/pci/devices/*; do
        local device
        device=$(readlink -f "$path")
        capture_directory "$device"
        for below in power link drm sound graphics block nvme net vfio-dev; do
            [ ! -d "$device/$below" ] || capture_directory "$device/$below"
        done
    done
    for path in /sys/class/pci_bus/*; do
        echo "$path -> $(readlink "$path")"
        local bus
        bus=$(readlink -f "$path")
        for file in rescan cpuaffinity; do [ ! -f "$bus/$file" ] || capture_attribute "$bus/$file"; done
        [ ! -L "$bus/bridge" ] || echo "$bus/bridge -> $(readlink "$bus/bridge")"
        [ ! -L "$bus/device" ] || echo "$bus/device -> $(readlink "$bus/device")"
    done
    capture_directory /sys/bus/pci
    for driver in /sys/bus/pci/drivers/*; do
        case ${driver##*/} in
        pcieport | vfio-pci | bochs-drm | snd_hda_intel | nvme | virtio-pci | xhci_hcd) capture_directory "$driver" ;;
        esac
    done
    capture_directory /sys/bus/pci_express/drivers/pciehp
    for path in /sys/bus/pci/slots/*; do [ ! -d "$path" ] || capture_directory "$path"; done
    for group in $(ls /sys/kernel/iommu_groups | sort -n); do
        capture_directory "/sys/kernel/iommu_groups/$group"
        capture_directory "/sys/kernel/iommu_groups/$group/devices"
    done
    for path in /sys/class/iommu/* /sys/class/drm/* /sys/class/sound/* /sys/class/graphics/* /sys/class/vtconsole/*; do
        [ ! -L "$path" ] || echo "$path -> $(readlink "$path")"
    done
}

echo LAB-CAPTURE-BEGINS
capture
echo LAB-CAPTURE-ENDS
