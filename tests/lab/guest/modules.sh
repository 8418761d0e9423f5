# What the machine needs until it is ready (busybox ash); scenarios use it, too.

# The real files, also where a scenario has mounted something over the ones below /sys.
sys=/lab/sys
devices=$sys/bus/pci/devices

# Who waits starts as few programs as can be: each costs an emulated processor milliseconds, and what is waited for runs on it, too.
read_uptime() {
    read -r lab_uptime lab_rest </proc/uptime
    lab_uptime=$((${lab_uptime%.*} * 1000 + 1${lab_uptime#*.}0 - 1000))
}
uptime_ms() { read_uptime && echo $lab_uptime; }

# wait_until SECONDS COMMAND...   true as soon as the command is; false when the time has passed
wait_until() {
    local deadline
    read_uptime
    deadline=$((lab_uptime + $1 * 1000))
    shift
    until "$@"; do
        read_uptime
        [ "$lab_uptime" -lt "$deadline" ] || return 1
        usleep 50000
    done
}

# /lab/modules/NAME.list: the files to insert for one module, dependencies first.
load_module() {
    while read -r lab_file; do
        lab_name=$(basename "$lab_file" .ko | tr - _)
        [ -e "/sys/module/$lab_name" ] || insmod "$lab_file"
    done <"/lab/modules/$1.list"
}
native_is_bound() {
    local each
    for each in "$devices"/*; do
        case $(cat "$each/class") in
        0x038000 | 0x0403*) [ -e "$each/driver" ] || return 1 ;;
        esac
    done
}
# Drivers bind in the order in which they were registered, so the order is a fact that scenarios choose. A first word of
# `vfio-only` leaves the native drivers out.
load_modules_in_order() {
    case $1 in
    native) lab_order="bochs snd_hda_intel vfio_iommu_type1 vfio-pci" ;;
    vfio-only) lab_order="vfio_iommu_type1 vfio-pci" ;;
    *) lab_order="vfio_iommu_type1 vfio-pci bochs snd_hda_intel" ;;
    esac
    for lab_module in $lab_order $2; do load_module "$lab_module"; done
    # snd_hda_intel probes in a work queue.
    [ "$1" = vfio-only ] || wait_until 20 native_is_bound || echo "lab: not every GPU and audio function has a driver"
}
