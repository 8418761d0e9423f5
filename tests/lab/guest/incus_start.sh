# VMs of Incus started by our command. Sourced by scenarios with `# incus: yes` and `# installer: yes`.
. /lab/incus.sh
unalias -a

gpu=0000:03:00.0 audio=0000:04:00.0 usb=0000:05:00.0
web_devices='"gpu": {"type": "gpu", "gputype": "physical", "pci": "0000:03:00.0"}, "audio": {"type": "pci", "address": "04:00.0"}'

# installer NAME WORDS...   runs the installer; what it says is in NAME.said, how it ends in installer_status
installer() {
    local name=$1
    shift
    say "pve-gpu-install $*"
    installer_status=0
    /usr/sbin/pve-gpu-install "$@" >"$lab_run/$name.said" 2>&1 </dev/null || installer_status=$?
    sed 's/^/    | /' "$lab_run/$name.said"
}
expect_installer() { expect_equal "the installer's end" "$1" "$installer_status"; }

# clean_start NAME   a card that was left dirty is clean when the VM has it
clean_start() {
    local began
    ! present "$usb" || dirty "$usb" # a killed start may have left it off the bus
    began=$(uptime_ms)
    installer start start --incus "$1"
    began=$(($(uptime_ms) - began))
    say "VM '$1' was started within $began ms"
    [ "$began" -le 120000 ] || echo "LAB-NOTE: a start took $began ms"
    expect_installer 0
    expect_clean "$usb"
    expect_open "$gpu"
    expect_open "$audio"
    expect_incus_status "$1" Running
    expect_no_file /var/lib/pve-gpu-hook/taken
    expect_whole "$1"
}
# What its guest reads of the card's USB controller.
expect_clean_in() { expect_equal "witness in the guest of '$1' (0 after a reset)" 00000000 "$(vm_witness "$1")"; }
# Its two PCI devices are in it.
expect_whole() {
    incus_api GET "/1.0/instances/$1" >"$lab_run/instance"
    expect_file_says "$lab_run/instance" '"pci":"0000:03:00.0"'
    expect_file_says "$lab_run/instance" '"address":"04:00.0"'
}

lab_words="$lab_words installer clean_start expect_clean_in expect_installer expect_whole"
tell_lines
