# Sourced by `run` and `capture`: makes an initramfs and boots QEMU with it.

lab_qemu_packages=(qemu-system-x86 busybox-static kmod xz-utils zstd)

# Any of these may be named in `# load:`; they are in every initramfs with their dependencies, and loaded only when asked.
lab_modules=(vfio-pci vfio_iommu_type1 bochs snd_hda_intel loop ext4 nvme virtio_pci virtio-gpu virtio_net e1000e xhci_pci fuse)

# make_initramfs KERNEL_DIRECTORY PROGRAMS_DIRECTORY HOOK|"" OUTPUT [SCENARIO_FILE...]
make_initramfs() {
    local kernel=$1 programs=$2 hook=$3 output=$4 tree
    shift 4
    tree=$(mktemp -d "$output.XXXXXX")
    chmod 0755 "$tree" # it becomes the machine's /, and not only root walks through it
    mkdir -p "$tree"/{bin,sbin,dev,proc,sys,run,tmp,etc,root,usr/bin,usr/sbin,lab/{modules,scenarios}}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    cp "$programs"/lab-* "$tree/bin/"
    cp "$here"/guest/* "$tree/lab/"
    mv "$tree/lab/init" "$tree/init"
    chmod +x "$tree/init"
    [[ -z $hook ]] || cp "$hook" "$tree/usr/sbin/pve-gpu-hook"
    (($# == 0)) || cp "$@" "$tree/lab/scenarios/"
    add_modules "$kernel" "$tree/lab/modules"
    if (($#)) && grep -q '^# lxc: yes' "$@"; then add_lxc "$tree"; fi
    # Not compressed: unpacking under emulation takes longer than copying.
    (cd "$tree" && find . | busybox cpio -o -H newc --quiet 2>/dev/null) >"$output"
    rm -rf "$tree"
}

# Debian's lxc with what it is linked with, and the directory in which it mounts a container's root.
add_lxc() {
    local tree=$1 lxc library
    lxc=$("$here/lxc")
    mkdir -p "$tree"/{lib64,usr/lib,var/lib/lxc}
    cp "$lxc"/usr/bin/lxc-{start,stop} "$tree/usr/bin/"
    (cd "$lxc" && find usr/lib -type d -path '*/lxc/rootfs') | while read -r library; do mkdir -p "$tree/$library"; done
    LD_LIBRARY_PATH=$(echo "$lxc"/usr/lib/*-linux-gnu) ldd "$lxc/usr/bin/lxc-start" |
        sed -n 's/^[^/]*\(\/[^ ]*\) (.*/\1/p' | while read -r library; do
        case $library in
        */ld-linux*) cp -L "$library" "$tree/lib64/" ;;
        *) cp -L "$library" "$tree/usr/lib/" ;;
        esac
    done
}

# Each module's files in the order to insert them, as modprobe knows it; the host's own modprobe.d has no say.
add_modules() {
    local kernel=$1 directory=$2 version module file name
    version=$(<"$kernel/version")
    for module in "${lab_modules[@]}"; do
        modprobe -C /dev/null -d "$kernel" -S "$version" --show-depends "$module" |
            sed -n 's/^insmod \([^ ]*\).*/\1/p' | while read -r file; do
            name=${file##*/}
            name=${name%.ko*}.ko
            [[ -e $directory/$name ]] || case $file in
            *.xz) xz -dc "$file" >"$directory/$name" ;;
            *.zst) zstd -qdc "$file" >"$directory/$name" ;;
            *) cp "$file" "$directory/$name" ;;
            esac
            echo "/lab/modules/$name"
        done >"$directory/$module.list"
    done
}

# boot KERNEL_DIRECTORY INITRAMFS MACHINE SLOTS FIRST LOAD TIMEOUT_SECONDS WORK_DIRECTORY SCENARIO
# Leaves the console's text in WORK_DIRECTORY/log. Returns 0 when the scenario passed.
boot() {
    local kernel=$1 initramfs=$2 machine=$3 slots=$4 first=$5 load=$6 limit=$7 work=$8 scenario=$9 args status=0
    rm -rf "$work"
    mkdir -p "$work"
    # The guest's second serial port and QEMU's monitor, tied together by two FIFOs: so a scenario can give QEMU commands
    # and no helper runs on the host. QEMU opens both ends of its `pipe` devices, hence nobody blocks.
    mkfifo "$work/guest.in" "$work/guest.out"
    ln -s guest.out "$work/monitor.in"
    ln -s guest.in "$work/monitor.out"
    truncate -s 64M "$work/disk.image"
    read -ra args <<<"$(grep -v '^#' "$here/machines/$machine.args" | sed "s|@work@|$work|g" | tr '\n' ' ')"
    # With acpiphp slots QEMU's ports say that they report an active link (LnkCap bit 20) and never do (LnkSta bit 13 is 0 even
    # with a working card); with pciehp slots the bit is set, and stays set during a reset.
    [[ $slots == acpiphp ]] || args+=(-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off)
    # One thread for both processors: with two, a processor can run into an instruction that the other one is patching, and
    # the kernel dies while it boots (seen once in some two hundred boots on a busy host). It is not slower here.
    # no_timer_check: on a busy host the kernel's check of its timer runs out of time and it panics.
    timeout --kill-after=10 "$limit" qemu-system-x86_64 -accel tcg,thread=single -cpu max \
        -machine q35,kernel-irqchip=split -m 1024 -smp 2 -nodefaults -display none -no-reboot \
        -device isa-debug-exit,iobase=0x501,iosize=1 \
        -chardev "file,id=console,path=$work/log" -serial chardev:console \
        -chardev "pipe,id=guest,path=$work/guest" -serial chardev:guest \
        -chardev "pipe,id=monitor,path=$work/monitor" -mon chardev=monitor,mode=control \
        -device intel-iommu,intremap=on,caching-mode=on "${args[@]}" \
        -kernel "$kernel/vmlinux" -initrd "$initramfs" \
        -append "console=ttyS0,115200 quiet panic=-1 intel_iommu=on iommu=pt no_timer_check lab_scenario=$scenario lab_first=$first lab_load=${load// /,}" \
        >"$work/qemu" 2>&1 || status=$?
    rm -f "$work/disk.image"
    ((status != 124)) || echo "no verdict within $limit s" >>"$work/qemu"
    # lab-finish writes 0x10 or 0x11 to the exit port, which QEMU makes 2n+1 of.
    ((status == 33)) && grep -q '^LAB-VERDICT: passed' "$work/log"
}
