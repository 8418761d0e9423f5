# A guest of high availability is started anew only where that is what high availability wants: its requested state is started, and its
# node is neither in maintenance nor going down, when the guest resets itself and not some seconds before. Else its machine is reset as before.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# turn: 8
. /lab/reboots.sh
reboot_host
usb=0000:05:00.0
card_conf 101 0000:03:00.0 0000:04:00.0 "$usb"
mkdir -p /etc/pve/ha
ha() { # REQUESTED_STATE NODE_STATE LRM_MODE   as PVE::HA::Config, Manager and LRM write them
    printf 'vm: 101\n\tstate %s\n\n' "$1" >/etc/pve/ha/resources.cfg
    echo "{\"master_node\":\"lab\",\"node_status\":{\"lab\":\"$2\"},\"service_status\":{\"vm:101\":{\"node\":\"lab\",\"running\":1,\"state\":\"started\",\"uid\":\"x\"}},\"timestamp\":1}" \
        >/etc/pve/ha/manager_status
    echo "{\"mode\":\"$3\",\"results\":{},\"state\":\"active\",\"timestamp\":1}" >/etc/pve/nodes/lab/lrm_status
}
ready=1
ha started online active
first_start 101 armed

say "it wants it started"
dirty "$usb"
vm_do 101 r
ready=2
guest_says 101 ready $ready
expect_vm 101 running 2
expect_clean_starts 101
expect_equal "the request goes through high availability" 2 "$(tasks 101 hastart)"
expect_reader 101 armed

# plain_reset WHY   the machine is reset in its QEMU
plain_reset() {
    local pid
    pid=$(vm_pid 101)
    dirty "$usb"
    vm_do 101 r
    ready=$((ready + 1))
    guest_says 101 ready $ready
    expect_vm 101 running 2
    expect_equal "QEMU's process ($1)" "$pid" "$(vm_pid 101)"
    expect_still_dirty "$usb"
}
for each in "stopped online active" "started maintenance active" "started online maintenance" "started online reboot"; do
    say "--- $each"
    # shellcheck disable=SC2086 # three words
    ha $each
    expect_reader 101 waits
    plain_reset "$each"
    ha started online active
    expect_reader 101 armed
done

# qmeventd may have ended QEMU before the reader has looked: then it is off, as high availability wants it. It is not started anew.
say "--- it changes its mind a moment before"
ha stopped online active
was=$(reader_note 101)
vm_do 101 r
is_over() { vm_said 101 ready $((ready + 1)) || has_cleanups 101 2; }
wait_until 60 is_over || fail "the guest neither runs nor is off"
state=$(state_of 101)
say "the reader was '$was', and the guest is $state"
expect_vm 101 "$state" 2
