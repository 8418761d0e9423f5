# Sourced by `run` and `capture`: makes an initramfs and boots QEMU with it. `here` is tests/lab.
top=$(cd "$here/../.." && pwd)
. "$here/../build.bash"

lab_qemu_packages=(qemu-system-x86 busybox-static kmod xz-utils zstd)

# Any of these may be named in `# load:`; they are in every initramfs with their dependencies, and loaded only when asked.
lab_modules=(vfio-pci vfio_iommu_type1 bochs snd_hda_intel loop ext4 nvme virtio_pci virtio-gpu virtio_net e1000e xhci_pci fuse)
lab_qemu_modules=(kvm-amd) # and these where there is a QEMU
lab_suite=trixie
lab_systemd_modules=(virtio_pci virtio_blk ext4 overlay kvm-amd) # and these where there is a Debian host
lab_incus_modules=(vhost_vsock) # and these where that has Incus

# Builds what runs beside busybox in the machine, and prints where it is.
lab_programs() {
    need "${build_packages[@]}"
    build_of lab >&2
    echo "$build/lab/programs"
}

# make_initramfs KERNEL_DIRECTORY PROGRAMS_DIRECTORY OUTPUT [lxc|qemu|systemd|incus]
# What a machine needs until it is ready; OUTPUT.sum tells one content from another. Neither the hook nor a scenario is in it.
# OUTPUT.disk is the disk that the machine has, if it has one.
make_initramfs() {
    local kernel=$1 programs=$2 output=$3 tree
    tree=$(mktemp -d "$output.XXXXXX")
    chmod 0755 "$tree" # it becomes the machine's /, and not only root walks through it
    mkdir -p "$tree"/{bin,sbin,dev,proc,sys,run,tmp,etc,root,usr/bin,usr/sbin,lab/modules}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    cp "$programs"/lab-* "$tree/bin/"
    cp "$here/guest/modules.sh" "$tree/lab/"
    install -m 755 "$here/guest/init" "$tree/init"
    add_modules "$kernel" "$tree/lab/modules" "${lab_modules[@]}"
    case ${4:-} in
    lxc) add_lxc "$tree" ;;
    qemu)
        add_modules "$kernel" "$tree/lab/modules" "${lab_qemu_modules[@]}"
        add_qemu "$tree" "$programs/firmware.bin"
        ;;
    systemd | incus)
        add_modules "$kernel" "$tree/lab/modules" "${lab_systemd_modules[@]}"
        cp "$here"/guest/{systemd,begin}.sh "$programs/firmware.bin" "$tree/lab/"
        if [[ $4 == incus ]]; then
            add_modules "$kernel" "$tree/lab/modules" "${lab_incus_modules[@]}"
            cp "$here/guest/incus_begin.sh" "$tree/lab/"
            ln -sfn "$("$here/tree" trixie incus)" "$output.disk"
        else
            ln -sfn "$("$here/tree" "$lab_suite")" "$output.disk"
        fi
        readlink "$output.disk" >"$tree/lab/disk" # its name has a sum, and this one's sum shall, too
        ;;
    esac
    (cd "$tree" && { find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -printf '%y %m %p %l\n' | sort; }) |
        sha256sum | cut -d ' ' -f 1 >"$output.sum"
    # Not compressed: unpacking under emulation takes longer than copying.
    (cd "$tree" && find . | busybox cpio -o -H newc --quiet 2>/dev/null) >"$output"
    rm -rf "$tree"
}

# make_payload HOOK|"" OUTPUT SCENARIO_FILE...   what a machine that is ready gets: the hook, the scenarios and what they are written
# in, and this commit's number; the installer, where INSTALLER names it; the package's units and Proxmox's programs, where STAND_INS does
make_payload() {
    local hook=$1 output=$2 tree
    shift 2
    tree=$(mktemp -d "$output.XXXXXX")
    mkdir -p "$tree"/{usr/sbin,lab/scenarios}
    find "$here/guest" -type f ! -name init ! -name modules.sh ! -name systemd.sh ! -name begin.sh ! -name incus_begin.sh -exec cp -t "$tree/lab" {} +
    cp "$@" "$tree/lab/scenarios/"
    (cd "$here" && turn 1000000) >"$tree/lab/turn"
    echo "${landing:-}" >"$tree/lab/landing" # a landing has a part of what some scenarios go through
    [[ -z $hook ]] || install -m 755 "$hook" "$tree/usr/sbin/pve-gpu-hook"
    [[ -z ${INSTALLER:-} ]] || install -m 755 "$INSTALLER" "$tree/usr/sbin/pve-gpu-install"
    if [[ -n ${STAND_INS:-}${INSTALLER:-} ]]; then
        mkdir -p "$tree/usr/lib/systemd/system"
        cp "$top"/packaging/*.service "$tree/usr/lib/systemd/system/"
    fi
    if [[ -n ${STAND_INS:-} ]]; then
        install -m 755 "$STAND_INS"/* "$tree/usr/sbin/"
    fi
    tar -C "$tree" --owner=0 --group=0 -cf "$output" usr lab
    rm -rf "$tree"
}

# add_libraries TREE PROGRAM   what the program is linked with
add_libraries() {
    local tree=$1 library
    mkdir -p "$tree"/{lib64,usr/lib}
    ldd "$2" | sed -n 's/^[^/]*\(\/[^ ]*\) (.*/\1/p' | while read -r library; do
        case $library in
        */ld-linux*) cp -L "$library" "$tree/lib64/" ;;
        *) cp -L "$library" "$tree/usr/lib/" ;;
        esac
    done
}

# Debian's lxc, and the directory in which it mounts a container's root.
add_lxc() {
    local tree=$1 lxc directory
    lxc=$("$here/lxc")
    mkdir -p "$tree"/var/lib/lxc
    cp "$lxc"/usr/bin/lxc-{start,stop} "$tree/usr/bin/"
    (cd "$lxc" && find usr/lib -type d -path '*/lxc/rootfs') | while read -r directory; do mkdir -p "$tree/$directory"; done
    LD_LIBRARY_PATH=$(echo "$lxc"/usr/lib/*-linux-gnu) add_libraries "$tree" "$lxc/usr/bin/lxc-start"
}

# The QEMU that runs the lab's machines, for one inside of them (guest/vm.sh); its firmware is our own.
add_qemu() {
    local tree=$1 firmware=$2
    cp "$(command -v qemu-system-x86_64)" "$tree/usr/bin/"
    add_libraries "$tree" "$tree/usr/bin/qemu-system-x86_64"
    mkdir -p "$tree/usr/share/qemu"
    cp /usr/share/qemu/kvmvapic.bin "$tree/usr/share/qemu/"
    cp "$firmware" "$tree/lab/"
}

# add_modules KERNEL_DIRECTORY DIRECTORY MODULE...
# Each module's files in the order to insert them, as modprobe knows it; the host's own modprobe.d has no say.
add_modules() {
    local kernel=$1 directory=$2 version module file name
    version=$(<"$kernel/version")
    for module in "${@:3}"; do
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

# machine_words KERNEL_DIRECTORY INITRAMFS MACHINE SLOTS FIRST LOAD WORK_DIRECTORY   prints QEMU's arguments, one a line, but for the
# guest's second serial port. All that a machine is made of is among them, or in the two files.
machine_words() {
    local kernel=$1 initramfs=$2 machine=$3 slots=$4 first=$5 load=$6 work=$7
    # One thread for both processors: with two, a processor can run into an instruction that the other one is patching, and
    # the kernel dies while it boots (seen once in some two hundred boots on a busy host). It is not slower here.
    printf '%s\n' -accel tcg,thread=single -cpu max -machine q35,kernel-irqchip=split -m 1024 -smp 2 -nodefaults \
        -display none -no-reboot -device isa-debug-exit,iobase=0x501,iosize=1 \
        -chardev "file,id=console,path=$work/log" -serial chardev:console -serial chardev:guest \
        -device intel-iommu,intremap=on,caching-mode=on
    grep -v '^#' "$here/machines/$machine.args" | sed "s|@work@|$work|g" | tr ' ' '\n' | grep .
    # With acpiphp slots QEMU's ports say that they report an active link (LnkCap bit 20) and never do (LnkSta bit 13 is 0 even
    # with a working card); with pciehp slots the bit is set, and stays set during a reset.
    [[ $slots == acpiphp ]] || printf '%s\n' -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off
    [[ ! -e $initramfs.disk ]] ||
        printf '%s\n' -drive "if=none,id=disk,file=$(readlink "$initramfs.disk"),format=raw,readonly=on" -device virtio-blk-pci,drive=disk,addr=10.0
    # On a busy host the kernel's checks of its timer and of its clock run out of time, and it panics (no_timer_check) or complains
    # (tsc=nowatchdog). log_buf_len: the whole log of a scenario is judged at its end.
    printf '%s\n' -kernel "$kernel/vmlinux" -initrd "$initramfs" -append "console=ttyS0,115200 quiet oops=panic panic=-1 intel_iommu=on iommu=pt \
no_timer_check tsc=nowatchdog log_buf_len=4M lab_first=$first lab_load=${load// /,}"
}

# snapshot_file KERNEL_DIRECTORY INITRAMFS MACHINE SLOTS FIRST LOAD   prints where such a machine's snapshot is, if there is one: its name
# is the sum of all that went into it.
snapshot_file() {
    local sum
    sum=$({
        cat "$1/version" "$2.sum"
        sha256sum <"$1/vmlinux"
        qemu-system-x86_64 --version
        machine_words "" "" "${@:3}" ""
    } | sha256sum | cut -c 1-32)
    echo "$(lab_cache)/snapshots/$sum"
}

# make_snapshot FILE KERNEL_DIRECTORY INITRAMFS MACHINE SLOTS FIRST LOAD WORK_DIRECTORY
# Boots the machine until it waits for its scenario and saves it. Fails where QEMU cannot save one of its devices, or it does not boot.
make_snapshot() {
    local file=$1 work=$8 words new status=0
    mkdir -p "$(dirname "$file")"
    exec 7>"$file.lock"
    flock 7
    if [[ -e $file ]]; then exec 7>&-; return 0; fi # another run has made it meanwhile
    rm -rf "$work"
    mkdir -p "$work"
    truncate -s 64M "$work/disk.image"
    mapfile -t words < <(machine_words "${@:2}")
    mkfifo "$work/commands"
    new=$file.new.$$
    # Nobody reads the second serial port yet. QEMU's monitor is on standard input.
    timeout --kill-after=10 300 qemu-system-x86_64 "${words[@]}" -chardev null,id=guest \
        -chardev stdio,id=commands -mon chardev=commands,mode=readline <"$work/commands" >"$work/qemu" 2>&1 7>&- &
    local qemu=$!
    exec 6>"$work/commands"
    until grep -qs '^LAB-READY' "$work/log" || ! kill -0 "$qemu" 2>/dev/null; do sleep 0.1; done
    # Not stopped before: a machine that was saved while it stood still stands still when it is resumed.
    printf 'migrate "exec:zstd -q -1 -T1 >%s"\nquit\n' "$new" >&6
    wait "$qemu" || status=$?
    exec 6>&-
    if ((status == 0)) && zstd -qt "$new" 2>/dev/null; then mv "$new" "$file"; else status=1; fi
    rm -f "$new" "$work/disk.image" "$file.lock"
    exec 7>&-
    return "$status"
}

# boot KERNEL_DIRECTORY INITRAMFS MACHINE SLOTS FIRST LOAD WORK_DIRECTORY PAYLOAD SCENARIO TIMEOUT_SECONDS [SNAPSHOT]
# Leaves the console's text in WORK_DIRECTORY/log. Returns 0 when the scenario passed. With a SNAPSHOT the machine goes on from there.
boot() {
    local work=$7 payload=$8 scenario=$9 limit=${10} snapshot=${11:-} words status=0
    rm -rf "$work"
    mkdir -p "$work"
    # The guest's second serial port and QEMU's monitor, tied together by two FIFOs: so a scenario can give QEMU commands
    # and no helper runs on the host. QEMU opens both ends of its `pipe` devices, hence nobody blocks.
    mkfifo "$work/guest.in" "$work/guest.out"
    ln -s guest.out "$work/monitor.in"
    ln -s guest.in "$work/monitor.out"
    truncate -s 64M "$work/disk.image"
    mapfile -t words < <(machine_words "${@:1:7}")
    [[ -z $snapshot ]] || words+=(-incoming "exec:zstd -qdc $snapshot")
    timeout --kill-after=10 "$limit" qemu-system-x86_64 "${words[@]}" -chardev "pipe,id=guest,path=$work/guest" \
        -chardev "pipe,id=monitor,path=$work/monitor" -mon chardev=monitor,mode=control \
        -fw_cfg "name=opt/lab/payload,file=$payload" -fw_cfg "name=opt/lab/scenario,string=$scenario" \
        >"$work/qemu" 2>&1 || status=$?
    rm -f "$work/disk.image"
    ((status != 124)) || echo "no verdict within $limit s" >>"$work/qemu"
    # lab-finish writes 0x10 or 0x11 to the exit port, which QEMU makes 2n+1 of.
    ((status == 33)) && grep -q '^LAB-VERDICT: passed' "$work/log"
}
